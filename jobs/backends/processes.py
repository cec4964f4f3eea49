"""Processes of a job on all nodes: those with the job's id in their environment, and strays.

A job's program can start one with another environment. It cannot leave the control group of the daemon that
started the job's executor, so a process there that descends from no process of that daemon is a stray, unless
it has the id of a job that runs.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection

from bootstrap import paths
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError, Unreachable
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.on_all import on_all
from bootstrap.ssh.remote import connect
from jobs.trainer.contract import JOB_ENV

GRACE = 10
"""Seconds for executors to exit after their driver."""
DAEMONS = ("spark-worker", "yarn-nodemanager")
"""Units of our nodes whose processes start executors."""


def reap(cluster: Cluster, job: str, others: Collection[str] | None, *, scratch: str = "") -> list[str]:
    """Wait until the job has no process on any node; kill processes that outlast the grace period.

    Strays are killed likewise; `others` are the other jobs that run, whose processes are left alone. Where
    these are not known (None), strays are too. Then the folder `scratch` of the job goes.

    Returns:
        Names of the nodes that were checked; nodes that do not answer are skipped.

    Raises:
        JobError: a process survives SIGKILL.
    """
    script = reap_script(job, others, scratch=scratch)
    remains = on_all(cluster.nodes, lambda node: _reap(cluster, node, script))
    left = [line for line in remains if line]
    if left:
        raise JobError(f"job {job}", f"processes of it are left: {'; '.join(left)}", "Reboot these nodes.")
    return [node.name for node, line in zip(cluster.nodes, remains, strict=True) if line is not None]


def _reap(cluster: Cluster, node: Node, script: str) -> str | None:
    """Return the processes left on a node; None if it does not answer."""
    try:
        with connect(cluster, node) as remote:
            result = remote.run(script, check=False, timeout=GRACE + 30)
    except Unreachable:
        return None
    return "" if result.ok else f"{node.name}: {result.stdout.strip()}"


def reap_script(job: str, others: Collection[str] | None, *, scratch: str = "") -> str:
    """Return the shell script that waits, kills and waits again; it fails with the processes left."""
    clear = f"as_user {paths.JOB_USER} rm -rf {shlex.quote(scratch)} 2>/dev/null || true" if scratch else ":"
    kill = f"kill -9 $({_look(job)} | tr -dc '0-9\\n' | sort -u) 2>/dev/null"
    return f"""
{alive(job)}
{_strays(others)}
left() {{ {{ marked; strays; }} | tr -dc '0-9\n' | sort -u; }}
n=0 none=0
while :; do
    pids=$(left)
    # A process that the system is just starting has no environment yet, so one look may miss it.
    if [ -z "$pids" ]; then
        [ $none -eq 0 ] || break
        none=1; sleep 0.1; continue
    fi
    n=$((n + 1)) none=0
    # Each user kills what it has found: otherwise what a job's process prints would be killed by root.
    [ $n -lt {GRACE * 5} ] || [ $(((n - {GRACE * 5}) % 10)) -ne 0 ] || {{
        {kill}; as_user {paths.JOB_USER} sh -c {shlex.quote(kill)}
        stray=$(strays | tr -dc '0-9\n')
        [ -z "$stray" ] || as_user {paths.JOB_USER} kill -9 $stray 2>/dev/null
    }}
    [ $n -lt {GRACE * 10} ] || {{ echo "processes" $pids; exit 1; }}
    sleep 0.2
done
{clear}
"""


def _strays(others: Collection[str] | None) -> str:
    """Return a shell function `strays` that prints the /proc paths of strays, as the kernel reports them."""
    if others is None:
        return "strays() { :; }"
    ids = " ".join(shlex.quote(f"-e{JOB_ENV}={other}") for other in sorted(others))
    look = f"grep -lzxF {ids} $1 2>/dev/null"
    spared = f"{look} || as_user {paths.JOB_USER} sh -c {shlex.quote(look)} - $1" if ids else "false"
    return f"""spared() {{ set -- /proc/$1/environ; {spared}; }}
strays() {{
    for unit in {" ".join(DAEMONS)}; do
        daemon=$(systemctl show -p MainPID --value $unit 2>/dev/null)
        case $daemon in '' | 0 | *[!0-9]*) continue ;; esac
        for pid in $({{
            grep -l "/$unit\\.service" /proc/[0-9]*/cgroup
            grep -H -e '^PPid:' -e '^State:.Z' /proc/[0-9]*/status
        }} 2>/dev/null | awk -F '[/:\t]' -v daemon=$daemon '{_ASTRAY}'); do
            spared $pid >/dev/null || echo /proc/$pid/
        done
    done
}}
"""


_ASTRAY = """
$4 == "cgroup" { member[$3] }
$5 == "State" { ended[$3] }
$5 == "PPid" { parent[$3] = $NF }
END {
    for (pid in member) {
        for (up = pid; up + 0 > 1 && up != daemon && up in parent; ) up = parent[up]
        # One whose forebear ended meanwhile is looked at again.
        if (up + 0 <= 1 && !(pid in ended)) print pid
    }
}"""
"""Program of awk that prints the members of a control group that descend from no process of its daemon."""


def alive(job: str) -> str:
    """Return a shell function `marked` that prints the /proc paths of the job's processes.

    In a container root may not be allowed to read other users' environments, so the jobs' user reads too.
    """
    look = _look(job)
    as_user = f"as_user {paths.JOB_USER} sh -c {shlex.quote(look)} 2>/dev/null"
    return f"{AS_USER}marked() {{ {look}; {as_user}; }}"


def _look(job: str) -> str:
    return f"grep -lzxF {shlex.quote(f'{JOB_ENV}={job}')} /proc/[0-9]*/environ 2>/dev/null"

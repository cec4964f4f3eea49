"""Processes of a job on all nodes, identified by the job's id in their environment."""

from __future__ import annotations

import shlex

from bootstrap import paths
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError, Unreachable
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.on_all import on_all
from bootstrap.ssh.remote import connect
from jobs.trainer.contract import JOB_ENV

GRACE = 10
"""Seconds for executors to exit after their driver."""


def reap(cluster: Cluster, job: str) -> list[str]:
    """Wait until the job has no process on any node; kill processes that outlast the grace period.

    Returns:
        Names of the nodes that were checked; nodes that do not answer are skipped.

    Raises:
        JobError: a process survives SIGKILL.
    """
    remains = on_all(cluster.nodes, lambda node: _reap(cluster, node, job))
    left = [line for line in remains if line]
    if left:
        raise JobError(f"job {job}", f"processes of it are left: {'; '.join(left)}", "Reboot these nodes.")
    return [node.name for node, line in zip(cluster.nodes, remains, strict=True) if line is not None]


def _reap(cluster: Cluster, node: Node, job: str) -> str | None:
    """Return the processes left on a node; None if it does not answer."""
    try:
        with connect(cluster, node) as remote:
            result = remote.run(reap_script(job), check=False, timeout=GRACE + 30)
    except Unreachable:
        return None
    return "" if result.ok else f"{node.name}: {result.stdout.strip()}"


def reap_script(job: str) -> str:
    """Return the shell script that waits, kills and waits again; it fails with the processes left."""
    kill = f"kill -9 $({_look(job)} | tr -dc '0-9\\n' | sort -u) 2>/dev/null"
    return f"""
{alive(job)}
left() {{ marked | tr -dc '0-9\n' | sort -u; }}
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
    [ $n -ne {GRACE * 5} ] || {{ {kill}; as_user {paths.JOB_USER} sh -c {shlex.quote(kill)}; }}
    [ $n -lt {GRACE * 10} ] || {{ echo "processes" $pids; exit 1; }}
    sleep 0.2
done
"""


def alive(job: str) -> str:
    """Return a shell function `marked` that prints the /proc paths of the job's processes.

    In a container root may not be allowed to read other users' environments, so the jobs' user reads too.
    """
    look = _look(job)
    as_user = f"as_user {paths.JOB_USER} sh -c {shlex.quote(look)} 2>/dev/null"
    return f"{AS_USER}marked() {{ {look}; {as_user}; }}"


def _look(job: str) -> str:
    return f"grep -lzxF {shlex.quote(f'{JOB_ENV}={job}')} /proc/[0-9]*/environ 2>/dev/null"

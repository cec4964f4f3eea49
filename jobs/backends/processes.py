"""Processes of a job on all nodes: they carry the job's id in their environment."""

from __future__ import annotations

import shlex

from bootstrap import paths
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError, Unreachable
from bootstrap.ssh.on_all import on_all
from bootstrap.ssh.remote import connect
from jobs.trainer.contract import JOB_ENV

GRACE = 10
"""Seconds for executors to notice that their driver is gone."""


def reap(cluster: Cluster, job: str) -> list[str]:
    """Wait until no node runs anything of the job; what does not go by itself is killed.

    Returns:
        Names of the nodes that were looked at: one that does not answer is passed over.

    Raises:
        JobError: a process survives even that.
    """
    found = on_all(cluster.nodes, lambda node: _reap(cluster, node, job))
    left = [line for line in found if line]
    if left:
        raise JobError(f"job {job}", f"processes of it are left: {'; '.join(left)}", "Reboot these nodes.")
    return [node.name for node, line in zip(cluster.nodes, found, strict=True) if line is not None]


def _reap(cluster: Cluster, node: Node, job: str) -> str | None:
    """What is left there; None where nobody answers."""
    try:
        with connect(cluster, node) as remote:
            result = remote.run(reap_script(job), check=False, timeout=GRACE + 30)
    except Unreachable:
        return None
    return "" if result.ok else f"{node.name}: {result.stdout.strip()}"


def reap_script(job: str) -> str:
    """The script that waits, kills and waits again; fails with the processes that are left."""
    return f"""
{alive(job)}
left() {{ marked | tr -dc '0-9\n' | sort -u; }}
n=0
while pids=$(left); [ -n "$pids" ]; do
    n=$((n + 1))
    [ $n -ne {GRACE * 5} ] || kill -9 $pids 2>/dev/null
    [ $n -lt {GRACE * 10} ] || {{ echo "processes" $pids; exit 1; }}
    sleep 0.2
done
"""


def alive(job: str) -> str:
    """A shell function `marked`: the environments of the job's processes, as paths.

    In a container root may lack the right to look into other users' processes; these are all of one user.
    """
    mark = shlex.quote(f"{JOB_ENV}={job}")
    look = f"grep -lzxF {mark} /proc/[0-9]*/environ 2>/dev/null"
    as_user = f"runuser -u {paths.JOB_USER} -- sh -c {shlex.quote(look)} 2>/dev/null"
    return f"marked() {{ {look}; {as_user}; }}"

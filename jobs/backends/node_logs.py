"""Log files of a job on its nodes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError, Unreachable
from bootstrap.ssh.reconnect import Link, Recovery
from bootstrap.ssh.remote import Remote
from bootstrap.ssh.tail import Tail, poll
from jobs.backends.base import OnLine
from jobs.backends.processes import alive
from jobs.job import JobRecord

READ_TIMEOUT = 300.0
"""Seconds for a whole log."""
_NO_FILE = 44
"""Exit status of the scripts below where none of the files exists."""
_RUNS = "runs"


@dataclass(frozen=True)
class LogPlace:
    """Node and files of a log: the first of `files` that exists, or the outputs in it if it is a folder."""

    node: Node | None
    """None if unknown."""
    files: tuple[str, ...]


def short(host: str) -> str:
    """Return the short host name: YARN reports full names where nodes are in a domain, as on HDInsight."""
    return host.partition(".")[0]


def node_of(cluster: Cluster, host: str) -> Node | None:
    """Return the node of a host as Spark or YARN reports it: short name, full name or address."""
    for node in cluster.nodes:
        if host and (host == node.address or short(host) == short(node.name)):
            return node
    return None


def executor_of(cluster: Cluster, record: JobRecord, executor: int) -> dict[str, str]:
    """Return `host` and `container` of an executor.

    Raises:
        JobError: the job has no such executor.
    """
    executors = record.history.executors
    if str(executor) in executors:
        return {"host": "", "container": "", **executors[str(executor)]}
    listed = ", ".join(f"{number} on {where['host']}" for number, where in sorted(executors.items()))
    raise JobError(
        f"executor {executor} of job {record.id}",
        f"it has {listed}" if listed else "none has registered",
        f"Give one of these, or run `fab logs {record.id} --stack {cluster.stack}` for the driver's.",
    )


def read(remote: Remote, files: tuple[str, ...], on_line: OnLine) -> bool:
    """Pass the lines of a log to `on_line`.

    Returns:
        False if none of the files exists.
    """
    if not files:
        return False
    result = remote.run(f'{_chosen(files)}cat "$@"\n', check=False, timeout=READ_TIMEOUT, on_line=on_line)
    return result.exit_code != _NO_FILE


def follow(link: Link, job: str, files: tuple[str, ...], on_line: OnLine) -> bool:
    """Pass the lines of a log to `on_line` until the job has no process on the node.

    When the connection breaks, another one is opened, and reading goes on where it stopped.

    Returns:
        False if none of the files exists.

    Raises:
        Unreachable: the connection broke and could not be made again.
    """
    if not files:
        return False
    remote, recovery = link.remote, Recovery(link.reconnect)
    tails: list[Tail] | None = None
    while True:
        try:
            if tails is None:
                found = remote.run(f'{_chosen(files)}realpath -s "$@"\n', check=False, timeout=READ_TIMEOUT)
                if found.exit_code == _NO_FILE:
                    return False
                tails = [Tail(path) for path in found.stdout.splitlines()]
            state = f'{alive(job)}\n[ -n "$(marked)" ] && echo {_RUNS} || echo ended'
            answer = poll(remote, tails, state, of=f"job {job}")
        except Unreachable as error:
            remote = recovery.reconnect(error)
            continue
        recovery.answered()
        ended = answer.state != [_RUNS]
        if answer.feed(tails, on_line, last=ended) and ended:
            return True


def _chosen(files: tuple[str, ...]) -> str:
    """Return shell that sets "$@" to the first file that exists, or to the outputs in the first folder."""
    looked = " ".join(shlex.quote(file) for file in files)
    # Only outputs: the folder also has the events and YARN's scripts.
    return f"""
set -- ; for place in {looked}; do
    if [ -f "$place" ]; then set -- "$place"; break; fi
    if [ -d "$place" ]; then
        cd "$place"
        set -- $(ls | grep -e stderr -e stdout)
        break
    fi
done
[ $# -gt 0 ] || exit {_NO_FILE}
"""

"""Log files of a job on its nodes."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from bootstrap import paths
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError, Unreachable
from bootstrap.ssh.as_user import AS_USER
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


def plain(text: str) -> str:
    """Return a name that a job has reported if it is one part of a path, else nothing."""
    return text if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", text) else ""


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
        where = executors[str(executor)]
        return {"host": str(where.get("host", "")), "container": plain(str(where.get("container", "")))}
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
    script = _as_reader(files, 'cat "$@"')
    result = remote.run(script, check=False, timeout=READ_TIMEOUT, on_line=on_line)
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
    user = paths.JOB_USER
    while True:
        try:
            if tails is None:
                script = _as_reader(files, 'id -un; realpath -s "$@"')
                found = remote.run(script, check=False, timeout=READ_TIMEOUT)
                if found.exit_code == _NO_FILE:
                    return False
                user, *logs = found.stdout.splitlines() or [user]
                tails = [Tail(path) for path in logs]
            state = f'{alive(job)}\n[ -n "$(marked)" ] && echo {_RUNS} || echo ended'
            answer = poll(remote, tails, state, user=user, of=f"job {job}")
        except Unreachable as error:
            remote = recovery.reconnect(error)
            continue
        recovery.answered()
        ended = answer.state != [_RUNS]
        if answer.feed(tails, on_line, last=ended) and ended:
            return True


def _as_reader(files: tuple[str, ...], read: str) -> str:
    """Return shell that reads the log, as "$@", with the rights of who wrote it, and never with root's.

    A job may put a link to another's file there. On HDInsight the user of YARN owns the containers' folders.
    """
    looked = " ".join(shlex.quote(file) for file in files)
    return f"""{AS_USER}reader={paths.JOB_USER}
for place in {looked}; do
    if [ -d "$place" ]; then
        owner=$(stat -c %U "$place")
        [ "$owner" = root ] || reader=$owner
        break
    fi
done
as_user "$reader" sh -c {shlex.quote(f"{_chosen(files)}{read}")}
"""


def _chosen(files: tuple[str, ...]) -> str:
    """Return shell that sets "$@" to the first file that exists, or to the outputs in the first folder."""
    looked = " ".join(shlex.quote(file) for file in files)
    # Only outputs: the folder also has the events and YARN's scripts.
    return f"""
set -- ; for place in {looked}; do
    if [ -f "$place" ]; then set -- "$place"; break; fi
    if [ -d "$place" ] && cd "$place"; then
        set -- $(ls | grep -e stderr -e stdout)
        break
    fi
done
[ $# -gt 0 ] || exit {_NO_FILE}
"""

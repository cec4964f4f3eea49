"""Log files of a job on its nodes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError
from bootstrap.ssh.remote import Remote
from jobs.backends.base import OnLine
from jobs.backends.processes import alive
from jobs.job import JobRecord

FOREVER = 30 * 86400.0
"""Maximum seconds to follow a log."""
ALIVE_S = 1
"""Seconds between two checks for the job's processes; checks take time from training."""
SILENCE = "\0"
"""Keep-alive line that the node writes to detect a closed connection."""
_NO_FILE = 44
"""Exit status of the script below where none of the files exists."""


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


def read(remote: Remote, job: str, files: tuple[str, ...], on_line: OnLine, *, follow: bool) -> bool:
    """Pass the lines of a log to `on_line`; with `follow`, until the job has no process on the node.

    Returns:
        False if none of the files exists.
    """
    if not files:
        return False
    looked = " ".join(shlex.quote(file) for file in files)
    # Only outputs: the folder also has the events and YARN's scripts.
    script = f"""
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
    if follow:
        script += f"""
tail -q -n +1 -F "$@" 2>/dev/null & reader=$!
{alive(job)}
# A closed connection is only noticed by writing to it.
trap 'kill $reader' EXIT
while [ -n "$(marked)" ]; do sleep {ALIVE_S}; printf '\\000\\n' || exit; done
sleep 1
"""
    else:
        script += 'cat "$@"\n'

    def pass_on(line: str) -> None:
        if line != SILENCE:
            on_line(line)

    result = remote.run(script, check=False, timeout=FOREVER if follow else 300, on_line=pass_on)
    return result.exit_code != _NO_FILE

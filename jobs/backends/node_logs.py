"""Logs of a running or ended job as they lie on its nodes."""

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
"""Seconds that a log is followed for at most."""
ALIVE_S = 1
"""Seconds between two looks for the job's processes, beside the training."""
SILENCE = "\0"
"""A line that the node writes to see whether somebody still reads."""
_NO_FILE = 44
"""Exit status of the script below where none of the files exists."""


@dataclass(frozen=True)
class LogPlace:
    """Node and files of a log: the first of `files` that exists, or the outputs in it if it is a folder."""

    node: Node | None
    """None where the node is not known."""
    files: tuple[str, ...]


def short(host: str) -> str:
    """Return a host's first name: YARN has full ones where a cluster is in a domain, as HDInsight's is."""
    return host.partition(".")[0]


def node_of(cluster: Cluster, host: str) -> Node | None:
    """Return the node that Spark or YARN names by its name, its full name, or its address."""
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
        f"Name one, or run `fab logs {record.id} --stack {cluster.stack}` for the driver's.",
    )


def read(remote: Remote, job: str, files: tuple[str, ...], on_line: OnLine, *, follow: bool) -> bool:
    """Pass on the lines of a log; with `follow`, until no process of the job is left there.

    Returns:
        False where none of the files exists.
    """
    if not files:
        return False
    looked = " ".join(shlex.quote(file) for file in files)
    # Beside them are the events, which people have seen, and YARN's own scripts.
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
# Whoever reads may go without a word: then nothing takes what is written here.
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

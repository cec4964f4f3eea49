"""`fab logs`: what a job's driver and executors wrote, while it runs and after its end."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable

from bootstrap import paths
from bootstrap.cluster import Cluster, Node, Yarn
from bootstrap.errors import JobError
from bootstrap.remote import Remote, connect
from jobs import records
from jobs.clean import alive
from jobs.on_head.resource_manager import log_lines
from jobs.records import Kept
from jobs.yarn import command as yarn_command
from jobs.yarn import short

YARN_LOGS = ("/var/lib/yarn/logs", "/mnt/resource/hadoop/yarn/log", "/mnt/hadoop/yarn/log")
"""Where NodeManagers keep the logs of what runs: ours, and HDInsight's."""
STANDALONE_WORK = "/var/lib/spark/work"
FOREVER = 30 * 86400.0
AGGREGATED_S = 120.0
BEGUN_POLL_S = 1.0
ALIVE_S = 1
"""Seconds between two looks for the job's processes, beside the training."""
SILENCE = "\0"
"""A line that the node writes to see whether somebody still reads."""

OnLine = Callable[[str], None]


def show(
    cluster: Cluster, job: str, on_line: OnLine, *, executor: int | None = None, follow: bool = False
) -> None:
    """Hand out the log of a job's driver, or of one of its executors; with `follow`, until the job ends.

    Raises:
        JobError: there is no such job, no such executor, or no log of it any more.
        Unreachable: the head, or the node that the log is on, does not answer.
    """
    with connect(cluster, cluster.head) as head:
        kept = records.one_job(head, job)
        if isinstance(cluster.scheduler, Yarn) and executor is None:
            kept = _once_begun(head, cluster, kept, wait=follow)
        node, folders = place(cluster, kept, executor)
        if node is not None and node.name != cluster.head.name:
            with connect(cluster, node) as remote:
                found = _from_node(remote, kept, folders, on_line, follow=follow and kept.active)
        else:
            found = _from_node(head, kept, folders, on_line, follow=follow and kept.active)
        if not found and isinstance(cluster.scheduler, Yarn):
            found = _aggregated(head, kept, executor, on_line)
    if not found:
        what = f"executor {executor}" if executor is not None else "its driver"
        raise JobError(
            f"job {job}",
            f"there is no log of {what} (any more)",
            f"Run `fab attach {job} --stack {cluster.stack}`, which brings what is left into results/{job}.",
        )


def _once_begun(head: Remote, cluster: Cluster, kept: Kept, *, wait: bool) -> Kept:
    """The job when its driver has a container, which is waited for or not.

    Raises:
        JobError: it has none, and nobody waits for it.
    """
    while kept.active and not kept.last("application").get("container"):
        if not wait:
            said = kept.last("waiting").get("why") or kept.last("application").get("said")
            raise JobError(
                f"job {kept.id}",
                f"YARN has not begun its driver yet{f' ({said})' if said else ''}",
                f"Run `fab logs {kept.id} --follow --stack {cluster.stack}`, which waits for it.",
            )
        time.sleep(BEGUN_POLL_S)
        kept = records.one_job(head, kept.id)
    return kept


def place(cluster: Cluster, kept: Kept, executor: int | None) -> tuple[Node | None, list[str]]:
    """(node, folders or files to look for there) of a log; no node where it is not known. Pure.

    Raises:
        JobError: the job has no such executor.
    """
    known = kept.last("executors")
    application = kept.last("application").get("id") or known.get("application", "")
    if executor is None:
        if not isinstance(cluster.scheduler, Yarn):
            return cluster.head, [f"{kept.job.place.folder}/log"]
        driver = kept.last("application")
        return _node(cluster, driver.get("host", "")), _containers(application, driver.get("container", ""))
    executors = known.get("executors", {})
    if str(executor) not in executors:
        listed = ", ".join(f"{number} on {where['host']}" for number, where in sorted(executors.items()))
        raise JobError(
            f"executor {executor} of job {kept.id}",
            f"it has {listed}" if listed else "none has registered",
            f"Name one, or run `fab logs {kept.id} --stack {cluster.stack}` for the driver's.",
        )
    where = executors[str(executor)]
    if where["container"]:
        return _node(cluster, where["host"]), _containers(application, where["container"])
    return _node(cluster, where["host"]), [f"{STANDALONE_WORK}/{application}/{executor}"]


def _containers(application: str, container: str) -> list[str]:
    return [f"{folder}/{application}/{container}" for folder in YARN_LOGS] if container else []


def _node(cluster: Cluster, host: str) -> Node | None:
    """A host as Spark or YARN names it, by name, full name or address."""
    for node in cluster.nodes:
        if host and (host == node.address or short(host) == short(node.name)):
            return node
    return None


def _from_node(remote: Remote, kept: Kept, folders: list[str], on_line: OnLine, *, follow: bool) -> bool:
    """The files as they lie there; False when there are none."""
    if not folders:
        return False
    looked = " ".join(shlex.quote(folder) for folder in folders)
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
[ $# -gt 0 ] || exit 44
"""
    if follow:
        script += f"""
tail -q -n +1 -F "$@" 2>/dev/null & reader=$!
{alive(kept.id)}
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
    return result.exit_code != 44  # noqa: PLR2004 - the script's own


def _aggregated(head: Remote, kept: Kept, executor: int | None, on_line: OnLine) -> bool:
    """From shared storage, where YARN puts logs when an application has ended."""
    application = kept.last("application").get("id") or kept.last("executors").get("application")
    if not application:
        return False
    if executor is None:
        container = kept.last("application").get("container", "")
    else:
        container = kept.last("executors")["executors"][str(executor)]["container"]
    # A ResourceManager that was restarted knows neither the application nor its owner any more.
    which = ["-appOwner", paths.JOB_USER, *(["-containerId", container] if container else ["-am", "1"])]
    words = ["logs", "-applicationId", application, *which, "-log_files", "stdout,stderr"]
    printed = head.run(yarn_command(*words), check=False, timeout=AGGREGATED_S).stdout
    lines = log_lines(printed.splitlines())
    for line in lines:
        on_line(line)
    return bool(lines)

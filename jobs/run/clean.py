"""`fab clean`: removal of what ended jobs left on the nodes and in shared storage.

On nodes the processes that run decide what is left (`bootstrap.leftovers`). In storage it is the folders of
jobs that do not run and have stored nothing: results, models and snapshots stay.
"""

from __future__ import annotations

from itertools import groupby
from typing import Final

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from bootstrap import leftovers, paths
from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, JobError
from bootstrap.leftovers import Leftover, Silent
from bootstrap.ssh import remote as ssh
from bootstrap.ssh.remote import Connect, Remote
from bootstrap.storage.hadoop import SharedStorage
from bootstrap.storage.listing import counted, listed
from jobs.backends import head_files, head_records
from jobs.backends.registry import Backends
from jobs.job import is_job_id

STORAGE: Final = "storage"
EMPTY: Final = "folders of jobs that stored nothing"
MOST_CONTROL: Final = 4
"""Files by which a job is steered, at most."""


def clean(
    cluster: Cluster, console: Console, *, dry_run: bool, connect: Connect = ssh.connect
) -> list[Leftover]:
    """Remove the leftovers of ended jobs, or with `dry_run` only list them; print what and how much.

    Raises:
        JobError: a node does not answer, or something could not be removed.
        ServiceDown, Unreachable: the head or the storage does not answer.
    """
    with Backends.of(cluster) as backends, connect(cluster, cluster.head) as head:
        storage = SharedStorage(head, cluster.shared_storage)
        empty = in_storage(storage)
        # Asked for afterwards: what has begun since is not among the folders.
        running = _running(backends, head) if empty else set()
        found = [one for one in empty if one.path.rpartition("/")[2] not in running]
        if not dry_run:
            found = [_removed(storage, one) for one in found]
    on_nodes, silent = leftovers.on_nodes(cluster, removing=not dry_run, connect=connect)
    found = [*on_nodes, *found]
    done = [one for one in found if not one.error]
    if done:
        console.print(table(done))
    console.print(told(done, dry_run=dry_run), soft_wrap=True)
    _raise(cluster, [one for one in found if one.error], silent)
    return found


def in_storage(storage: SharedStorage) -> list[Leftover]:
    """Return the folders of jobs, running ones too, that have stored nothing.

    Raises:
        CommandFailed, ServiceDown: the storage cannot be listed.
    """
    found = []
    for count in counted(storage, paths.JOBS_DIR):
        path = f"{paths.JOBS_DIR}/{count.name}"
        if not is_job_id(count.name) or count.folders != 1 or count.files > MOST_CONTROL:
            continue
        if all(head_files.steers(entry.name) for entry in (listed(storage, path) if count.files else ())):
            found.append(Leftover(STORAGE, path, count.size, EMPTY))
    return found


def _running(backends: Backends, head: Remote) -> set[str]:
    """Return the ids of jobs that run, by their units or by the cluster manager."""
    records, _ = backends.records()
    by_manager = {
        record.id
        for record in records
        if record.active or (record.state == "lost" and backends.default.unfinished(record.job))
    }
    return head_records.running(head) | by_manager


def _removed(storage: SharedStorage, one: Leftover) -> Leftover:
    """Remove a folder, but for what a job may have stored in it since."""
    try:
        head_files.drop_unused(storage, one.path)
        left = storage.exists(one.path)
    except CommandFailed as error:
        return one._replace(error=error.why)
    return one._replace(error="a file has been stored in it meanwhile") if left else one


def table(found: list[Leftover]) -> Table:
    """Return a table of leftovers by node and kind. Pure."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("where", "what", "number", "bytes", "for example"):
        shown.add_column(name, justify="right" if name in ("number", "bytes") else "left")
    for (node, what), group in groupby(sorted(found), key=lambda one: (one.node, one.what)):
        of_kind = list(group)
        total = sum(one.size for one in of_kind)
        shown.add_row(node, what, str(len(of_kind)), f"{total:,}", of_kind[0].path)
    return shown


def told(found: list[Leftover], *, dry_run: bool) -> str:
    """Return the line that says how much was removed, or would be. Pure."""
    if not found:
        return "Nothing is left of ended jobs."
    number = f"{len(found)} leftovers" if len(found) > 1 else "1 leftover"
    size = decimal(sum(one.size for one in found))
    if dry_run:
        return f"{number} of ended jobs, {size}: `fab clean` removes them."
    return f"Removed {number} of ended jobs, {size}."


def _raise(cluster: Cluster, failed: list[Leftover], silent: list[Silent]) -> None:
    if failed:
        first = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise JobError(
            f"{first.node}: {first.path}{more}", f"it cannot be removed: {first.error}", "Run `fab doctor`."
        )
    if silent:
        given = ", ".join(one.node for one in silent)
        fix = f"Run {cluster.members.repair(cluster.stack)}; then rerun this command."
        raise JobError(given, f"its leftovers are not known: {silent[0].why}", fix)

"""Files of jobs on the head, fetched to the operator's machine with the job user's rights.

What a job can write may be a link to a file that only root can read, or of any size.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, JobError, ServiceDown, Unreachable
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.remote import Remote
from bootstrap.storage import listing
from bootstrap.storage.hadoop import SharedStorage
from jobs.backends.base import Log, end_of
from jobs.job import JobPlace
from jobs.submission.package import taken_by_root
from jobs.trainer.contract import RESTART_FILES, STOP_FILE
from jobs.trainer.files.fence import SUFFIX as FENCE

LONGEST_LOG = 256 << 20
"""Bytes of a log to fetch, its last: it is the job's to write, and a sparse file costs it nothing."""
LONGEST_FILE = 1 << 30
"""Bytes of a file that travels with a job."""
DROP_S = 20.0
"""Seconds for the removal of an empty folder in storage."""


def bring_log(head: Remote, place: JobPlace, to: Path) -> Log:
    """Copy the end of a job's log; there may be none."""
    log = f"{place.folder}/log"
    with suppress(CommandFailed):
        _bring(head, log, to, f"tail -c {LONGEST_LOG}")
    cut = to.exists() and to.stat().st_size == LONGEST_LOG
    where = f"{to} (its end; the whole is {log} on {head.node.name})" if cut else str(to)
    return Log(end_of(to), where)


def bring_files(head: Remote, job: str, place: JobPlace, names: Sequence[str], to: Path) -> None:
    """Copy files that travelled with a job from its working folder into the folder `to`.

    Raises:
        JobError: one is not there any more, or is longer than any that travels.
        Unreachable: the head does not answer.
    """
    for name in names:
        path = f"{place.work}/{name}"
        try:
            _bring(head, path, to / name, f"head -c {LONGEST_FILE}")
        except CommandFailed as error:
            why = f"{path} on {head.node.name} cannot be read any more ({error.why})"
            raise JobError(f"job {job}", why, _AGAIN) from error
        if (to / name).stat().st_size >= LONGEST_FILE:
            raise JobError(f"job {job}", f"{path} on {head.node.name} is not what travelled with it", _AGAIN)


def drop_empty(head: Remote, cluster: Cluster, job: str) -> None:
    """Remove the folder in storage of a job that stored nothing, if storage answers soon.

    How the job has ended matters more than a failure of this; `fab clean` removes such folders as well.
    """
    storage = SharedStorage(head, cluster.shared_storage, limit=DROP_S)
    with suppress(CommandFailed, ServiceDown, Unreachable):
        drop_unused(storage, f"{paths.JOBS_DIR}/{job}")


def drop_unused(storage: SharedStorage, folder: str) -> None:
    """Remove what steered a job from its folder in storage, and the folder if nothing else is in it.

    Whoever lives on behind a cut link writes nothing without the number of its attempt.

    Raises:
        CommandFailed: storage refused it.
        ServiceDown: the storage does not answer.
    """
    names = (STOP_FILE, *RESTART_FILES, f"*{FENCE}")
    files = " ".join(storage.quoted(f"{folder}/{name}") for name in names)
    storage.run(f"{storage.command(f'dfs -rm -f -skipTrash {files}')} </dev/null >/dev/null 2>&1")
    listing.drop_empty(storage, folder)


def steers(name: str) -> bool:
    """Return whether a file in a job's folder steers it while it runs, and is no result."""
    return name in (STOP_FILE, *RESTART_FILES) or name.endswith(FENCE)


_AGAIN = "Submit the job again with its specification: `fab submit --spec FILE`."


def _bring(head: Remote, path: str, to: Path, read: str) -> None:
    """Copy what a command reads of a file.

    Raises:
        CommandFailed: there is no such file.
    """
    on_head, quoted = f"{paths.JOBS}/.file-{token()}", shlex.quote(path)
    script = f"[ -f {quoted} ] || {{ echo no such file >&2; exit 1; }}; {read} {quoted}"
    head.run(taken_by_root())
    try:
        head.run(
            f"{AS_USER}umask 077; set -C; as_user {paths.JOB_USER} sh -c {shlex.quote(script)} "
            f">{shlex.quote(on_head)}"
        )
        head.get(on_head, to)
    finally:
        with suppress(Unreachable):  # the first error matters
            head.run(f"rm -f {shlex.quote(on_head)}", check=False)

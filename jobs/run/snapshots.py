"""Newest whole snapshot of a job, from its events or from its folder in shared storage, and its words."""

from __future__ import annotations

import re
from typing import Final

from bootstrap.errors import JobError
from jobs.backends.base import Backend
from jobs.job import SubmittedJob
from jobs.report.history import History
from jobs.report.progress import FailedJob
from jobs.trainer.contract import REFUSED, Failed, Snapshot, Trained, failures
from jobs.trainer.files.storage import parent
from jobs.trainer.ranks.resume import beside

_STATE: Final = re.compile(r"(.+_iter_)(\d+)\.solverstate(\.h5)?")
NONE: Final = "There is no snapshot to resume from"
LOG: Final = "The full log: "
"""Beginning of an error's last sentence."""


def told(backend: Backend, job: SubmittedJob) -> History:
    """Return the events that say where an ended job can go on: its snapshots, and the end of training.

    Raises:
        ServiceDown, Unreachable: they cannot be read.
    """
    history = History()
    backend.events(job, (Snapshot, Trained), history.add_line)
    return history


def newest(backend: Backend, job: SubmittedJob, history: History) -> Snapshot | None:
    """Return the newest snapshot of a job that is whole in storage; None without one.

    Where the events name none, those in the job's own folder count: other folders may hold another job's.

    Raises:
        CommandFailed, ServiceDown, Unreachable: storage cannot be listed.
    """
    seen: dict[str, list[str] | None] = {}
    for snapshot in reversed(history.all(Snapshot)):
        folder = parent(snapshot.state)
        if folder not in seen:
            seen[folder] = backend.stored(folder)
        files = seen[folder]
        # What is not in the cluster's storage cannot be looked at from here: the event is believed.
        if files is None or {_name(snapshot.state), _name(snapshot.weights)} <= set(files):
            return snapshot
    own = job.place.storage
    return in_folder(own, (seen[own] if own in seen else backend.stored(own)) or [])


def in_folder(folder: str, files: list[str]) -> Snapshot | None:
    """Return the newest snapshot among the files of a folder; None without a whole one. Pure."""
    found = []
    for name in files:
        match = _STATE.fullmatch(name)
        if match is None:
            continue
        weights = f"{match[1]}{match[2]}.caffemodel{match[3] or ''}"
        if weights in files and beside(name) in files:
            found.append(Snapshot(int(match[2]), weights=f"{folder}/{weights}", state=f"{folder}/{name}"))
    return max(found, key=lambda snapshot: snapshot.iteration, default=None)


def advised(error: JobError, job: SubmittedJob, history: History, *, code: int, stack: str) -> JobError:
    """Return the error of an ended job with the newest snapshot, or the trained model, to go on from.

    In the words of the trainer's log; what the error says already is not said again. Pure.
    """
    failed = history.last(Failed)
    # Of Livy's jobs the event alone has the status.
    if REFUSED in {code, failed.exit_code if failed else code} or not job.spec.train:
        return error
    before, at, log = error.fix.partition(LOG)
    advises = isinstance(error, FailedJob) and error.advises
    words = _words(job, history, before, f"`fab resume {job.id} --stack {stack}`", advises=advises)
    fix = " ".join(part for part in (before.strip(), words, f"{at}{log}") if part)
    return JobError(error.given, error.why, fix)


def _words(job: SubmittedJob, history: History, fix: str, command: str, *, advises: bool) -> str:
    """Return where an ended job goes on; a fix that `advises` says whether there is a place, and names it."""
    snapshot, trained = history.last(Snapshot), history.last(Trained)
    if trained is not None and trained.model:
        place, words = trained.model, failures.resume({"model": trained.model})
    elif snapshot is not None:
        place, words = snapshot.state, failures.resume(snapshot.resume())
    elif job.spec.snapshot:
        place, words = job.spec.snapshot, f"It has no snapshot after {job.spec.snapshot}, where it began"
    else:
        return "" if advises else f"{NONE}."
    # The newest one may be another than that of the failure, whose event came before.
    named = advises and place in fix
    return f"{command} goes on from there." if named else f"{words.rstrip('.')}: {command}."


def _name(uri: str) -> str:
    return uri.rpartition("/")[2]

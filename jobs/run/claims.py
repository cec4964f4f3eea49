"""Names in shared storage that a job writes: those of its model, its snapshots, and its features.

In its own folder, a job shares them with no other. With `model` or `output` in the specification, two jobs
may have the same: while both run, one would take the other's snapshots for its own; and a later job replaces
those of an earlier one.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bootstrap.errors import CaffeSparkError, JobError
from jobs.backends.base import Backend
from jobs.job import JobRecord, SubmittedJob
from jobs.spec import JobSpec
from jobs.trainer.files.storage import parent

_PREFIX: Final = re.compile(r"(?m)^[^#\n]*?\bsnapshot_prefix\s*:\s*[\"']([^\"'\n]*)[\"']")


def require_free(backend: Backend, spec: JobSpec) -> None:
    """Refuse a job that would write what a running job writes.

    Two commands that submit at the same moment do not see each other's job yet.

    Raises:
        JobError: it would.
        ServiceDown, Unreachable: the running jobs cannot be listed.
    """
    if not (spec.model or spec.output):
        return
    mine = _Writer.of(backend, spec)
    for record in backend.records():
        given = mine.shares(_Writer.of_job(backend, record.job)) if record.active else ""
        if given:
            stack = backend.document.stack
            raise JobError(
                given,
                f"job {record.id} runs, and writes the same names: each would take the other's files for its "
                "own",
                f"Wait for its end (`fab attach {record.id} --stack {stack}`), or give another one.",
            )


def replaced(backend: Backend, record: JobRecord) -> str:
    """Return the id of the newest later job that has written the names of a job's snapshots, or its model's.

    Empty if none has.

    Raises:
        ServiceDown, Unreachable: the jobs cannot be listed.
    """
    if not record.job.spec.model:
        return ""
    mine = _Writer.of_job(backend, record.job)
    later = [one for one in backend.records() if one.id != record.id and one.began > record.began]
    for other in sorted(later, key=lambda one: one.began, reverse=True):
        if other.state != "refused" and mine.snapshots_of(_Writer.of_job(backend, other.job)):
            return other.id
    return ""


@dataclass(frozen=True)
class _Writer:
    """What a job writes; `job` is None for one that is about to be submitted."""

    backend: Backend
    spec: JobSpec
    model: str
    """URI of the model, without `.h5`; empty where it does not train."""
    output: str
    job: SubmittedJob | None = None

    @classmethod
    def of(cls, backend: Backend, spec: JobSpec, job: SubmittedJob | None = None) -> _Writer:
        storage = backend.document.shared_storage
        own = f"{job.place.storage}/{spec.name}.model" if job else ""
        model = _absolute(spec.model or own, storage).removesuffix(".h5") if spec.train else ""
        return cls(backend, spec, model, _absolute(spec.output, storage), job)

    @classmethod
    def of_job(cls, backend: Backend, job: SubmittedJob) -> _Writer:
        return cls.of(backend, job.spec, job)

    def shares(self, other: _Writer) -> str:
        """Return the setting of this job by which both write the same; empty if they do not."""
        if self.output and self.output == other.output:
            return f"output: {self.spec.output}"
        return f"model: {self.spec.model}" if self.spec.model and self.snapshots_of(other) else ""

    def snapshots_of(self, other: _Writer) -> bool:
        """Return whether both write the same model, or snapshots of the same names."""
        if not (self.model and other.model) or parent(self.model) != parent(other.model):
            return False
        if self.model == other.model:
            return True
        mine, others = self._prefix(), other._prefix()
        # Of a solver that cannot be read, nobody knows.
        return mine is None or others is None or mine == others

    def _prefix(self) -> str | None:
        """Return the beginning of the snapshots' names; None if the solver cannot be read."""
        name = self.spec.solver.name
        with tempfile.TemporaryDirectory(prefix="caffe-spark-claims-") as folder:
            try:
                if self.job is not None:
                    self.backend.bring_files(self.job, [name], Path(folder))
                file = self.spec.solver if self.job is None else Path(folder, name)
                found = _PREFIX.search(file.read_text(errors="replace"))
            except (CaffeSparkError, OSError):
                return None
            return found[1] if found and found[1] else file.stem


def _absolute(uri: str, storage: str) -> str:
    """Return a URI in one form, of those that name the same file: a path of shared storage is one in it."""
    if not uri:
        return ""
    given, home = urlsplit(uri), urlsplit(storage)
    path = posixpath.normpath(given.path)
    if (given.scheme or home.scheme, given.netloc or home.netloc) == (home.scheme, home.netloc):
        return f"{storage}{path}" if path.startswith("/") else f"{storage}/~/{path}"
    return f"{given.scheme}://{given.netloc}{path}"

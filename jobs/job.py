"""Submitted jobs and their records, by which later commands find them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from bootstrap.errors import JobError
from bootstrap.others_json import json_object
from jobs.report.history import History
from jobs.spec import JobSpec
from jobs.trainer.contract import DONE, KILLED, LAST_SECOND, REFUSED

_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,79}")
"""A specification's name, the time, and a number where two jobs have both in common."""
WORK: Final = "work"
TEMPORARY: Final = "tmp"


def is_job_id(text: str) -> bool:
    """Return whether a text can be a job's id, which is also the name of its folders."""
    return _ID.fullmatch(text) is not None


def require_job_id(text: str) -> None:
    """Refuse a text that cannot be a job's id.

    Raises:
        JobError: it is not a valid id.
    """
    if not is_job_id(text):
        raise JobError(
            f"job {text!r}",
            "it is not a valid job id: a letter, then letters, digits and -, all lower case",
            "Take one that `fab status` lists.",
        )


@dataclass(frozen=True)
class JobPlace:
    """A job's id, its folder on the head (empty without one), and its URL in shared storage.

    The folder is root's, and has what decides what root does. What the job user reads and writes is in the
    folder `work`, which is that user's.
    """

    id: str
    folder: str
    storage: str
    divided: bool = True
    """False for jobs of earlier versions, which had one folder, the job user's."""

    @property
    def work(self) -> str:
        """Working folder of the driver, or of the program that submits it."""
        return f"{self.folder}/{WORK}" if self.divided else self.folder

    @property
    def temporary(self) -> str:
        """Folder of the driver for temporary files, which goes when it has ended."""
        return f"{self.work}/{TEMPORARY}"

    @property
    def output(self) -> str:
        """URL of the features; the means lie beside them."""
        return f"{self.storage}/features"


@dataclass(frozen=True)
class SubmittedJob:
    """A submitted job, with all that another process needs to follow it."""

    spec: JobSpec
    framework: str
    """Key of the framework that it runs on."""
    place: JobPlace
    backend: str = ""
    """Name of the backend that runs it; empty in records older than backends."""
    batch: int | None = None
    """Id of its batch in Livy."""
    submitted: float = 0.0
    """Seconds since the epoch."""

    @property
    def id(self) -> str:
        """The job's id."""
        return self.place.id

    def dump(self) -> str:
        """Return the record as JSON."""
        return json.dumps(
            {
                "spec": self.spec.model_dump(mode="json"),
                "framework": self.framework,
                "place": asdict(self.place),
                "backend": self.backend,
                "batch": self.batch,
                "submitted": self.submitted,
            },
            indent=1,
        )

    @classmethod
    def load(cls, text: str, place: JobPlace) -> SubmittedJob:
        """Read a record written by `dump`, of the job at `place`: others than we may have written it.

        Raises:
            ValueError, KeyError, TypeError: the record is of another version.
        """
        record = json_object(text)
        batch, submitted = record.get("batch"), record.get("submitted", 0.0)
        if type(batch) not in {int, type(None)} or type(submitted) not in {int, float}:
            raise ValueError("batch and time are numbers")
        if not 0 <= submitted < LAST_SECOND:
            raise ValueError("the time is not a valid one")
        return cls(
            JobSpec.model_validate(record["spec"]),
            str(record["framework"]),
            replace(place, divided=dict(record["place"]).get("divided") is True),
            str(record.get("backend", "")),
            batch,
            submitted,
        )


@dataclass(frozen=True)
class JobRecord:
    """A job as its backend knows it."""

    job: SubmittedJob
    began: float
    """Seconds since the epoch."""
    active: bool
    status: int | None
    """Exit status; None while the job runs, and when it was lost."""
    history: History = field(default_factory=History)

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def state(self) -> str:
        """One of running, done, refused, failed, killed, lost."""
        if self.active:
            return "running"
        return {None: "lost", DONE: "done", REFUSED: "refused", KILLED: "killed"}.get(self.status, "failed")

"""A submitted job and its record, which other commands find it by."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from jobs.report.history import History
from jobs.spec import JobSpec
from jobs.trainer.contract import DONE, KILLED, REFUSED

RECORD_FILE = "job.json"
"""File of the record in a job's folder, on the head or in shared storage."""


@dataclass(frozen=True)
class JobPlace:
    """A job's id, its folder on the head (empty for a job that has none), and its URL in shared storage."""

    id: str
    folder: str
    storage: str

    @property
    def output(self) -> str:
        """URL of the features; the means lie beside them."""
        return f"{self.storage}/features"


@dataclass(frozen=True)
class SubmittedJob:
    """A submitted job: enough to follow it from another process, or another day."""

    spec: JobSpec
    framework: str
    """Key of the framework it runs on."""
    place: JobPlace
    backend: str = ""
    """Name of the backend that runs it; empty in records older than backends."""
    batch: int | None = None
    """Livy's number of it."""
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
    def load(cls, text: str) -> SubmittedJob:
        """Read what `dump` wrote.

        Raises:
            ValueError, KeyError, TypeError: it is a record of another version.
        """
        found = json.loads(text)
        return cls(
            JobSpec.model_validate(found["spec"]),
            found["framework"],
            JobPlace(**found["place"]),
            found.get("backend", ""),
            found.get("batch"),
            found.get("submitted", 0.0),
        )


@dataclass(frozen=True)
class JobRecord:
    """A job as its backend knows it."""

    job: SubmittedJob
    began: float
    """Seconds since the epoch."""
    active: bool
    status: int | None
    """Its exit status; None while it runs, and when it was lost."""
    history: History = field(default_factory=History)

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def state(self) -> str:
        """In a word: running, done, refused, failed, killed, or lost."""
        if self.active:
            return "running"
        return {None: "lost", DONE: "done", REFUSED: "refused", KILLED: "killed"}.get(self.status, "failed")

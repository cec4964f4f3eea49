"""Submitted jobs and their records, by which later commands find them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from jobs.report.history import History
from jobs.spec import JobSpec
from jobs.trainer.contract import DONE, KILLED, REFUSED


def is_job_id(text: str) -> bool:
    """Return whether a text can be a job's id, which is also the name of its folder."""
    return bool(text) and "/" not in text and not text.startswith(".")


@dataclass(frozen=True)
class JobPlace:
    """A job's id, its folder on the head (empty without one), and its URL in shared storage."""

    id: str
    folder: str
    storage: str

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
    def load(cls, text: str) -> SubmittedJob:
        """Read a record written by `dump`.

        Raises:
            ValueError, KeyError, TypeError: the record is of another version.
        """
        record = json.loads(text)
        return cls(
            JobSpec.model_validate(record["spec"]),
            record["framework"],
            JobPlace(**record["place"]),
            record.get("backend", ""),
            record.get("batch"),
            record.get("submitted", 0.0),
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

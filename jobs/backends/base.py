"""Protocol of a backend: the way from a job specification to a job that a cluster manager runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from bootstrap.cluster import ClusterDocument
from bootstrap.ssh import unit
from jobs.job import JobRecord, SubmittedJob
from jobs.spec import JobSpec
from jobs.trainer.contract import Failed

OnLine = Callable[[str], None]
LOST = unit.LOST
"""Exit status from `Backend.follow` for a job that ended without one: killed, or its node went down."""


class Log(NamedTuple):
    """A job's log on this machine, and the place of the full one as an error names it."""

    text: str
    where: str


class Foreign(NamedTuple):
    """An application of the cluster manager that is none of our jobs."""

    id: str
    state: str
    name: str


class Backend(Protocol):
    """One way to run jobs on a cluster. Connections open at first use; `close` ends them."""

    name: str
    """Key in `jobs.backends.registry` and in records of jobs."""

    @property
    def document(self) -> ClusterDocument:
        """The cluster that it runs jobs on."""
        ...

    @property
    def driver(self) -> str:
        """Name of the machine whose failure loses a job."""
        ...

    def close(self) -> None:
        """Close connections; a later call opens them again."""
        ...

    def capacity(self, spec: JobSpec) -> None:
        """Refuse a job that the cluster cannot run now. Changes nothing.

        Raises:
            ConfigError: the cluster is too small for it.
            JobError: there is no room for it now, or a node lacks the framework or the data.
            ServiceDown: a service that the job needs does not answer.
            Unreachable: a node does not answer.
        """
        ...

    def launch(self, spec: JobSpec, framework: str, say: OnLine) -> SubmittedJob:
        """Submit a job and leave its record; `say` gets a line about it. An interrupt ends what has begun.

        Raises:
            ServiceDown, JobError: it was refused, or may have begun all the same.
            Unreachable: the head does not answer.
        """
        ...

    def follow(self, job: SubmittedJob, on_line: OnLine) -> int:
        """Pass on each line of the job's log and events from the start until it ends; returns its exit
        status.

        Raises:
            Unreachable, ServiceDown: it can no longer be followed, and runs on; says how to go on.
        """
        ...

    def bring_log(self, job: SubmittedJob, to: Path) -> Log:
        """Copy the log of an ended job to a file."""
        ...

    def bring_features(self, job: SubmittedJob, to: Path) -> Sequence[str]:
        """Copy the features of an ended job to a file (JSON lines), and return these lines."""
        ...

    def clean_up(self, job: SubmittedJob, exit_code: int) -> None:
        """Make sure that nothing of an ended job runs anywhere.

        Raises:
            JobError: a process of it survives.
        """
        ...

    def explain(self, job: SubmittedJob, failed: Failed | None) -> str:
        """Return what only the cluster manager knows of a failure; empty for most."""
        ...

    def logs(self, record: JobRecord, on_line: OnLine, *, executor: int | None, follow: bool) -> None:
        """Pass on the log of the driver, or of an executor; with `follow`, until the job ends.

        Raises:
            JobError: there is no such executor, or no log of it.
            Unreachable: the node that it is on does not answer.
        """
        ...

    def kill(self, job: SubmittedJob) -> str:
        """End a job with everything that it has started; returns the end of a sentence that says so.

        Raises:
            JobError: something of it survives.
            ServiceDown, Unreachable: it could not be ended.
        """
        ...

    def unfinished(self, job: SubmittedJob) -> bool:
        """Return whether the cluster manager runs something of the job, whatever its record says."""
        ...

    def records(self) -> list[JobRecord]:
        """Return every job of this backend, in no order; records of another version are left out."""
        ...

    def record(self, job: str) -> JobRecord | None:
        """Return one job; None when this backend has none of that id."""
        ...

    def foreign(self, jobs: set[str]) -> list[Foreign]:
        """Return what else the cluster manager runs, apart from these jobs.

        Raises:
            ServiceDown: the cluster manager does not answer.
        """
        ...

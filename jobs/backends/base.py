"""Protocol of backends, which run jobs on a cluster manager."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from bootstrap.cluster import ClusterDocument
from bootstrap.diagnosis import LONGEST
from bootstrap.ssh import unit
from jobs.job import JobRecord, SubmittedJob
from jobs.spec import JobSpec
from jobs.trainer.contract import Event, Failed

OnLine = Callable[[str], None]
BYTES_OF_LOG = 4 * LONGEST
"""As many as LONGEST characters take at most."""
LOST = unit.LOST
"""Exit status of `Backend.follow` for a job without one: its driver was killed, or its node failed."""


class Log(NamedTuple):
    """The end of a job's log, in which a failure is explained, and the place of the full log."""

    text: str
    where: str


def end_of(path: Path) -> str:
    """Return the end of a log, as much as is diagnosed; empty without a file."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - BYTES_OF_LOG))
        return file.read().decode(errors="replace")


class Foreign(NamedTuple):
    """An application of the cluster manager that this project did not submit."""

    id: str
    state: str
    name: str


class Backend(Protocol):
    """A way to run jobs on a cluster. Connections open at first use; `close` closes them."""

    name: str
    """Key in `jobs.backends.registry` and in job records."""

    @property
    def document(self) -> ClusterDocument:
        """The cluster that it runs jobs on."""
        ...

    @property
    def driver(self) -> str:
        """Name of the machine whose failure loses the job."""
        ...

    def close(self) -> None:
        """Close connections; a later call opens them again."""
        ...

    def capacity(self, spec: JobSpec) -> None:
        """Refuse a job that the cluster cannot run now. Changes nothing.

        Raises:
            ConfigError: the cluster is too small for the job.
            JobError: resources are in use, or a node lacks the framework or the data.
            ServiceDown: a service that the job needs does not answer.
            Unreachable: a node does not answer.
        """
        ...

    def launch(self, spec: JobSpec, framework: str, say: OnLine) -> SubmittedJob:
        """Submit a job and write its record; `say` receives a line about it. An interrupt kills the job.

        Raises:
            ServiceDown, JobError: it was refused, or its state is unknown; the message says which.
            Unreachable: the head does not answer.
        """
        ...

    def follow(self, job: SubmittedJob, on_line: OnLine) -> int:
        """Pass each line of the job's log and events to `on_line` until it ends; return its exit status.

        Raises:
            Unreachable, ServiceDown: the connection was lost while the job runs.
        """
        ...

    def events(self, job: SubmittedJob, kinds: Sequence[type[Event]], on_line: OnLine) -> bool:
        """Pass the lines of a job's events of these kinds, as far as written, to `on_line`.

        Returns:
            False if there are more than are read: a job may write any number of them.

        Raises:
            ServiceDown, Unreachable: they cannot be read.
        """
        ...

    def bring_log(self, job: SubmittedJob, to: Path) -> Log:
        """Copy the log of an ended job to a file."""
        ...

    def bring_files(self, job: SubmittedJob, names: Sequence[str], to: Path) -> None:
        """Copy files that travelled with a job into the folder `to`, by their names.

        Raises:
            JobError: one is not there any more.
            ServiceDown, Unreachable: they cannot be read.
        """
        ...

    def stored(self, folder: str) -> list[str] | None:
        """Return the names of the files in a folder of shared storage; None for a URI elsewhere.

        Raises:
            CommandFailed, ServiceDown, Unreachable: storage does not list it.
        """
        ...

    def bring_features(self, job: SubmittedJob, to: Path) -> None:
        """Copy the features of an ended job to a file of JSON lines."""
        ...

    def clean_up(self, job: SubmittedJob, exit_code: int) -> None:
        """Ensure that no process of an ended job is left.

        Raises:
            JobError: a process of it survives.
        """
        ...

    def explain(self, job: SubmittedJob, failed: Failed | None) -> str:
        """Return the cluster manager's explanation of a failure; empty for most."""
        ...

    def why_lost(self, job: SubmittedJob) -> str:
        """Return why a job ended with `LOST`, as the second part of an error.

        Raises:
            CommandFailed, ServiceDown, Unreachable: nothing can tell.
        """
        ...

    def logs(self, record: JobRecord, on_line: OnLine, *, executor: int | None, follow: bool) -> None:
        """Pass the log of the driver or of an executor to `on_line`; with `follow`, until the job ends.

        Raises:
            JobError: there is no such executor, or no log of it.
            Unreachable: the node that has it does not answer.
        """
        ...

    def kill(self, job: SubmittedJob) -> str:
        """Kill a job with all its processes; return the predicate of a sentence that reports it.

        Raises:
            JobError: a process of it survives.
            ServiceDown, Unreachable: it could not be killed.
        """
        ...

    def unfinished(self, job: SubmittedJob) -> bool:
        """Return whether the cluster manager still runs the job, regardless of its record."""
        ...

    def records(self) -> list[JobRecord]:
        """Return all jobs of this backend, unordered; records of other versions are skipped."""
        ...

    def record(self, job: str) -> JobRecord | None:
        """Return a job by id; None if this backend has none."""
        ...

    def foreign(self, jobs: set[str]) -> list[Foreign]:
        """Return the cluster manager's applications that are not among these jobs.

        Raises:
            ServiceDown: the cluster manager does not answer.
        """
        ...

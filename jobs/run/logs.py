"""Logs of a job's driver and executors, of a running or an ended job."""

from __future__ import annotations

from jobs.backends.base import OnLine
from jobs.backends.registry import Backends


def show(
    backends: Backends, job: str, on_line: OnLine, *, executor: int | None = None, follow: bool = False
) -> None:
    """Print the log of a job's driver or of an executor; with `follow`, until the job ends.

    Raises:
        JobError: there is no such job, no such executor, or its log is gone.
        ServiceDown, Unreachable: the head, or the node that the log is on, does not answer.
    """
    backend, record = backends.find(job)
    backend.logs(record, on_line, executor=executor, follow=follow)

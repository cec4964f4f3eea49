"""Logs of a job: its driver's, or one of its executors', while it runs and after its end."""

from __future__ import annotations

from jobs.backends.base import OnLine
from jobs.backends.registry import Backends


def show(
    backends: Backends, job: str, on_line: OnLine, *, executor: int | None = None, follow: bool = False
) -> None:
    """Pass on the log of a job's driver, or of one of its executors; with `follow`, until the job ends.

    Raises:
        JobError: there is no such job, no such executor, or no log of it any more.
        ServiceDown, Unreachable: the head, or the node that the log is on, does not answer.
    """
    backend, record = backends.find(job)
    backend.logs(record, on_line, executor=executor, follow=follow)

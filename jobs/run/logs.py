"""Logs of a job's driver and executors, of a running or an ended job."""

from __future__ import annotations

from bootstrap.errors import CaffeSparkError
from jobs.backends.base import OnLine
from jobs.backends.registry import Backends


def show(
    backends: Backends, job: str, on_line: OnLine, *, executor: int | None = None, follow: bool = False
) -> None:
    """Print the log of a job's driver or of an executor; with `follow`, until the job ends.

    Where it cannot be read, the error says where else it is, if the stack sends logs to its cloud.

    Raises:
        JobError: there is no such job, no such executor, or its log is gone.
        ServiceDown, Unreachable: the head, or the node that the log is on, does not answer.
    """
    try:
        backend, record = backends.find(job)
        backend.logs(record, on_line, executor=executor, follow=follow)
    except CaffeSparkError as error:
        elsewhere = backends.document.cloud_logs
        if elsewhere is not None:
            error.fix += f" Machines also sent their logs to CloudWatch: `{elsewhere.tail()}`."
        raise

"""Training curve of a running or ended job."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from rich.console import Console

from bootstrap.console import print_line
from bootstrap.errors import JobError
from jobs.backends.registry import Backends
from jobs.job import JobRecord
from jobs.report import training
from jobs.report.curve import KINDS, Curve
from jobs.trainer import contract

EVERY_S: Final = 5.0
"""Seconds between two drawings of a job that is followed; one takes half a second to two."""


class _Drawing:
    """Files of a curve, written again as events come."""

    def __init__(self, job: str, console: Console, folder: Path) -> None:
        self.curve, self._job, self._console, self._folder = Curve(), job, console, folder
        self._drawn = 0.0
        self._told = list[str]()

    def line(self, text: str) -> None:
        """Process a line of the job's log or events."""
        event = contract.load(text)
        if event is not None:
            self.curve.add(event)

    def line_while_running(self, text: str) -> None:
        """Process a line; write the files when that was long ago."""
        self.line(text)
        if not self.curve.empty and time.monotonic() - self._drawn >= EVERY_S:
            self.write()

    def write(self) -> None:
        """Write the files; print where each lies, once."""
        for said in training.write(self.curve, self._job, self._folder):
            if said not in self._told:
                self._told.append(said)
                print_line(self._console, said)
        self._drawn = time.monotonic()


def draw(backends: Backends, job: str, console: Console, results: Path, *, follow: bool = False) -> None:
    """Draw the training curve of a job into `results`/JOB; with `follow`, again and again until it ends.

    Raises:
        JobError: there is no such job, or it has no point yet.
        ServiceDown, Unreachable: its events cannot be read.
    """
    backend, record = backends.find(job)
    drawing = _Drawing(job, console, results / job)
    whole = True
    if follow and record.active:
        try:
            backend.follow(record.job, drawing.line_while_running)
        finally:
            # Also of a job that goes on: what came since the last drawing.
            if not drawing.curve.empty:
                drawing.write()
    else:
        whole = backend.events(record.job, KINDS, drawing.line)
    if drawing.curve.empty:
        raise _without_points(record, backend.document.stack, follow=follow)
    drawing.write()
    if not whole:
        print_line(console, "note: the job has written more events than are read; the curve lacks its end")


def _without_points(record: JobRecord, stack: str, *, follow: bool) -> JobError:
    """Return the error of a job without points: displays and validations are what a curve is made of."""
    at = f"{record.state}, phase {record.history.phase}" if record.history.phase else record.state
    if record.active and not follow:
        why = f"it has no point to draw yet ({at})"
        return JobError(
            f"job {record.id}", why, f"Run `fab curve {record.id} --follow --stack {stack}`, which waits."
        )
    why = (
        "it ended without a point to draw: it has trained up to no `display` and no validation of its solver"
    )
    return JobError(f"job {record.id}", why, f"Run `fab logs {record.id} --stack {stack}`.")

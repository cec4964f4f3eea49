"""Progress display of a job: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from bootstrap.diagnosis import diagnose, diagnose_failure
from bootstrap.errors import JobError
from jobs.report.curve import Curve
from jobs.report.history import History
from jobs.trainer import contract
from jobs.trainer.contract import Event, failures
from jobs.trainer.events.journal import converted_text, lost_text, recovery_text, upload_text

_KEPT_LOG = 30


class FailedJob(JobError):
    """Failed job; `advises`: its fix says how to go on, from a snapshot, a model or the start."""

    def __init__(self, given: str, why: str, fix: str, *, advises: bool = False) -> None:
        super().__init__(given, why, fix)
        self.advises = advises

    def because(self, reason: str) -> FailedJob:
        """Return the error with a further reason."""
        return FailedJob(self.given, f"{self.why}: {reason}", self.fix, advises=self.advises)


class View:
    """Display fed with the lines of a job's log and events file, interleaved."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.history, self.curve = History(), Curve()
        self.log: list[str] = []
        self._progress = Progress(
            TextColumn("{task.description:<8}", style="bold", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[figures]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("start", total=None, figures="")

    def __enter__(self) -> View:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def line(self, text: str) -> None:
        """Process one line."""
        event = contract.load(text)
        if event is None:
            self.log = [*self.log[1 - _KEPT_LOG :], text]
            return
        self.history.add(event)
        self.curve.add(event)
        if isinstance(event, contract.Phase):
            # A phase without iterations pulses: only a new task has no total again.
            self._progress.remove_task(self._task)
            self._task = self._progress.add_task(event.phase, total=None, figures="")
            if not self._console.is_terminal:
                self._console.print(event.phase)
        elif isinstance(event, contract.Progress):
            self._progress.update(
                self._task,
                total=event.max_iter,
                completed=event.iteration,
                figures=f"{event.iteration} of {event.max_iter}  loss {event.loss:.4f}  "
                f"{event.images_per_s:,.0f} images/s{_left(event)}",
            )
        elif isinstance(event, contract.Converting):
            self._progress.update(self._task, figures=converted_text(event))
            if not self._console.is_terminal:
                self._console.print(converted_text(event), markup=False, highlight=False)
        text = displayed(event)
        if text:
            self._console.print(text, markup=False, soft_wrap=True)

    def failure(self, job: str, exit_code: int, log: str, text: str = "", stack: str = "") -> FailedJob:
        """Return the error of a failed job, from its events and its log.

        `log` is the place of the full log, `text` its content; the remedy names `stack`.
        """
        where = f"The full log: {log}"
        node = self._failed_node()
        shown = diagnose(text, stack=stack, node=node)
        failed = self.history.last(contract.Failed)
        if failed is not None:
            given, why, fix = _words(failed)
            known = diagnose_failure(failed.code, failed.fields, stack=stack, node=node)
            if known is not None and (not known.symptom or shown is None or shown.name == known.name):
                return FailedJob(f"job {job}: {given}", why, f"{known.fix} {where}")
            if shown is not None:
                return FailedJob(f"job {job}: {given}", f"{why}: {shown.why}", f"{shown.fix} {where}")
            advises = failures.advises(failed.code)
            return FailedJob(f"job {job}: {given}", why, f"{fix.rstrip('.')}. {where}", advises=advises)
        if shown is not None:
            return FailedJob(f"job {job}", shown.why, f"{shown.fix} {where}")
        lines = [line for line in self.log if line.strip()]
        why = f"it ended with status {exit_code}" + (f": {lines[-1].strip()}" if lines else "")
        return FailedJob(f"job {job}", why, where)

    def _failed_node(self) -> str:
        """Return the driver's node on YARN if no executor had registered when the job failed."""
        driver = self.history.last(contract.Application)
        return driver.host if driver and driver.host and not self.history.executors else "a node"


def _words(failed: contract.Failed) -> failures.Words:
    """Return the words of a failure; an unknown code (of a newer version) keeps its own message."""
    try:
        return failures.words(failed.code, failed.fields)
    except (KeyError, ValueError, IndexError):
        return failures.Words("it failed", failed.message, "Look at the log.")


def displayed(event: Event) -> str:
    """Return the line to print for an event; empty for most."""
    show = _DISPLAYED.get(type(event))
    return show(event) if show else ""


def _at(event: Event, word: str, text: str) -> str:
    return f"iteration {getattr(event, 'iteration', 0):>6} {word:<9} {text}"


def _display(event: contract.Display) -> str:
    return (
        f"iteration {event.iteration:>6} of {event.max_iter}  loss {event.loss:.4f}  "
        f"lr {event.lr:.6f}  {event.images_per_s:,.0f} images/s{_left(event)}"
    )


def _validation(event: contract.Validation) -> str:
    values = "  ".join(f"{name} {some[0]:.4f}" for name, some in event.values.items() if len(some) == 1)
    return _at(event, "validation", f" {values}")


_DISPLAYED: Mapping[type[Event], Callable[..., str]] = {
    contract.Display: _display,
    contract.Validation: _validation,
    contract.Snapshot: lambda event: _at(event, "snapshot", event.state),
    contract.UploadFailed: lambda event: _at(event, "warning", upload_text(event)),
    contract.Interruption: lambda event: f"notice on {event.host}: {event.why}",
    contract.WorkersLost: lambda event: _at(event, "lost", lost_text(event)),
    contract.Recovery: lambda event: _at(event, "goes on", recovery_text(event)),
    contract.Note: lambda event: f"note: {event.message}",
    contract.Waiting: lambda event: f"note: accepted by YARN, waiting: {event.why or 'YARN gives no reason'}",
}


def _left(event: contract.Progress) -> str:
    if event.left_s is None or not math.isfinite(event.left_s):
        return ""
    minutes, seconds = divmod(round(event.left_s), 60)
    return f"  {minutes}:{seconds:02} left"

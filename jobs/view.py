"""A running job as people see it: a progress bar on a terminal, plain lines elsewhere. Fed line by line."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from bootstrap.diagnosis import diagnose
from bootstrap.errors import JobError

_EVENT = '{"event": '
_KEPT_LOG = 30
_NOT_GRANTED = "executors-not-granted"
"""The diagnosis that another one in the log explains."""


class View:
    """Takes in the lines of a job's log and of its events file, in any mixture."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.events: list[dict[str, Any]] = []
        self.log: list[str] = []
        self._progress = Progress(
            TextColumn("[bold]{task.description:<8}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[figures]}"),
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
        """Take in one line."""
        event = read_event(text)
        if event is None:
            self.log = [*self.log[1 - _KEPT_LOG :], text]
            return
        self.events.append(event)
        kind = event["event"]
        if kind == "phase":
            # A phase without iterations pulses: only a new task has no total again.
            self._progress.remove_task(self._task)
            self._task = self._progress.add_task(event["phase"], total=None, figures="")
            if not self._console.is_terminal:
                self._console.print(event["phase"])
        elif kind in ("progress", "display"):
            self._progress.update(
                self._task,
                total=event["max_iter"],
                completed=event["iteration"],
                figures=f"{event['iteration']} of {event['max_iter']}  loss {event['loss']:.4f}  "
                f"{event['images_per_s']:,.0f} images/s{_left(event)}",
            )
        text = spoken(event)
        if text:
            self._console.print(text, markup=False, soft_wrap=True)

    def failure(self, job: str, exit_code: int, log: str, text: str = "", stack: str = "") -> JobError:
        """Why the job failed, from what was seen.

        `log` is where the full log lies, `text` what it holds; the remedy names `stack`.
        """
        where = f"The full log: {log}"
        node = self._where_it_began()
        for event in reversed(self.events):
            if event["event"] == "failed" and "words" in event:
                given, why, fix = event["words"]
                known = diagnose(f"{given}: {why}", stack=stack, node=node)
                shown = diagnose(text, stack=stack, node=node)
                if known is not None and (
                    known.name != _NOT_GRANTED or shown is None or shown.name == known.name
                ):
                    return JobError(f"job {job}: {given}", why, f"{known.fix} {where}")
                if shown is not None:
                    return JobError(f"job {job}: {given}", f"{why}: {shown.why}", f"{shown.fix} {where}")
                return JobError(f"job {job}: {given}", why, f"{fix.rstrip('.')}. {where}")
        known = diagnose(text, stack=stack, node=node)
        if known is not None:
            return JobError(f"job {job}", known.why, f"{known.fix} {where}")
        said = [line for line in self.log if line.strip()]
        why = f"it ended with status {exit_code}" + (f": {said[-1].strip()}" if said else "")
        return JobError(f"job {job}", why, where)

    def _where_it_began(self) -> str:
        """The driver's node on YARN, where a failure can only have been there: no executor was up yet."""
        hosts = [str(event.get("host", "")) for event in self.events if event["event"] == "application"]
        executors = any(event["event"] == "executors" for event in self.events)
        return hosts[-1] if hosts and hosts[-1] and not executors else "a node"


def read_event(line: str) -> dict[str, Any] | None:
    """The event in a line; None for a line of the log."""
    if not line.startswith(_EVENT):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def spoken(event: dict[str, Any]) -> str:
    """The line that stays on the screen for an event; empty for most."""
    kind = event["event"]
    if kind == "display":
        return (
            f"iteration {event['iteration']:>6} of {event['max_iter']}  loss {event['loss']:.4f}  "
            f"lr {event['lr']:.6f}  {event['images_per_s']:,.0f} images/s{_left(event)}"
        )
    if kind == "validation":
        values = "  ".join(
            f"{name} {some[0]:.4f}" for name, some in event["values"].items() if len(some) == 1
        )
        return f"iteration {event['iteration']:>6} validation  {values}"
    if kind == "snapshot":
        return f"iteration {event['iteration']:>6} snapshot  {event['state']}"
    if kind == "waiting":
        return f"note: YARN has accepted it, and it waits: {event['why'] or 'YARN does not say for what'}"
    if kind == "note":
        return f"note: {event['message']}"
    return ""


def _left(event: dict[str, Any]) -> str:
    left = event.get("left_s")
    if left is None:
        return ""
    minutes, seconds = divmod(round(left), 60)
    return f"  {minutes}:{seconds:02} left"

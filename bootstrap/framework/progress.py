"""Progress of a build, read from its log and shown as make's own percentage."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bootstrap.framework.steps import COMPILE

_STEP = re.compile(r"^step (\d+)/(\d+) build: (.+?)(?:: (ok|changed) \((\d+) s\))?$")
_FAILED = re.compile(r"^step \d+/\d+ build: (.+?): failed with status (\d+) after (\d+) s$")
_PERCENT = re.compile(r"^\[ *(\d{1,3})%\] ")
QUARTER = 25
"""Percent between two lines where there is no terminal."""


@dataclass
class BuildLog:
    """State of a build, parsed from the lines of its log."""

    step: str = ""
    number: int = 0
    total: int = 0
    percent: int | None = None
    """Of the compilation, by make; None before and after it."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds of each step that has ended and changed something."""
    failed: tuple[str, int] | None = None
    """Step and exit status."""

    def feed(self, line: str) -> None:
        """Parse one more line."""
        if match := _FAILED.match(line):
            self.failed = (match[1], int(match[2]))
        elif match := _STEP.match(line):
            self.number, self.total, self.step = int(match[1]), int(match[2]), match[3]
            self.percent = 0 if self.step == COMPILE and match[4] is None else None
            if match[4] == "changed":
                self.phases[match[3]] = float(match[5])
        elif self.step == COMPILE and (match := _PERCENT.match(line)):
            # make's targets run in parallel, so the percentage of single lines may decrease
            self.percent = max(self.percent or 0, min(int(match[1]), 100))


class BuildBar:
    """Live line with step, percentage, elapsed and expected time; plain lines where there is no terminal."""

    def __init__(self, console: Console, expected: float) -> None:
        self._console, self._expected = console, expected
        self._log = BuildLog()
        self._said = (0, -1)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[share]:>4}"),
            TimeElapsedColumn(),
            TextColumn(f"of about {clock(expected)}"),
            console=console,
            transient=True,
        )
        self._task: TaskID = self._progress.add_task("Build", total=100, share="")

    def __enter__(self) -> BuildBar:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    @property
    def log(self) -> BuildLog:
        """State of the build so far."""
        return self._log

    def feed(self, line: str) -> None:
        """Parse one more line of the build's log and update the display."""
        self._log.feed(line)
        log = self._log
        share = "" if log.percent is None else f"{log.percent} %"
        name = f"{log.step} ({log.number}/{log.total})" if log.step else "Build"
        self._progress.update(self._task, description=name, completed=log.percent or 0, share=share)
        if self._console.is_terminal or not log.step:
            return
        mark = (log.number, (log.percent or 0) // QUARTER)
        if mark > self._said:
            self._said = mark
            elapsed = clock(self._progress.tasks[0].elapsed or 0)
            text = f"{name} {share} {elapsed} of about {clock(self._expected)}"
            self._console.print(" ".join(text.split()), highlight=False)


def clock(seconds: float) -> str:
    """Format seconds as `m:ss`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

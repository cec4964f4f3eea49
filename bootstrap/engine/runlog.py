"""Full logs of runs on the operator's machine."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

import platformdirs

from bootstrap.engine.command import Command

TAIL = 15
"""Last lines of a step's output that a failure prints."""


def default_folder(now: float | None = None, kind: str = "bootstrap") -> Path:
    """Return a folder for this run: below the current project's `.state`, else below the user's logs."""
    moment = time.time() if now is None else now
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(moment)) + f"-{int(moment * 1000) % 1000:03d}"
    state = Path.cwd() / ".state"
    base = state / "log" if state.is_dir() else platformdirs.user_log_path("caffe-spark")
    return base / f"{kind}-{stamp}"


def new_folder(kind: str, now: float | None = None) -> Path:
    """Create the folder of a run; concurrent runs get separate ones."""
    first = default_folder(now, kind)
    for number in itertools.count(1):
        folder = first if number == 1 else first.with_name(f"{first.name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True, mode=0o700)
            break
    return folder


class StepLog:
    """Part of a node's log: one step's output, beside that of others."""

    def __init__(self, log: NodeLog, title: str) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.title, self._log = title, log

    def line(self, text: str) -> None:
        """Write one line of the step's output."""
        self.tail.append(text)
        self._log.append(self, text + "\n")

    def end(self, outcome: str, seconds: float) -> None:
        """Write the outcome of the step."""
        self._log.append(self, f"==== {outcome} after {seconds:.1f} s\n\n")


class NodeLog:
    """Log file of one node (mode 0600), created with its first line; callers mask secrets."""

    def __init__(self, folder: Path, node: str) -> None:
        self.path = folder / f"{node}.log"
        self._lock = threading.Lock()
        self._last: StepLog | None = None

    def begin(self, command: Command) -> StepLog:
        """Write the start of a step, its script, masked; return its part of the log."""
        title = f"{command.role}: {command.name}"
        step = StepLog(self, title)
        moment = time.strftime("%H:%M:%S")
        self.append(step, f"==== {moment} {title}\n{command.masked(command.run)}\n----\n", named=True)
        return step

    def append(self, step: StepLog, text: str, *, named: bool = False) -> None:
        """Write text of a step, after its title where another step wrote last, unless it is `named` there."""
        with self._lock:
            if self._last is not step and not named:
                text = f"==== … {step.title}\n{text}"
            self._last = step
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)

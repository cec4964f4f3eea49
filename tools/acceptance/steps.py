"""Execution of one step: its output on the terminal and in a log, ended at its time limit."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from tools.acceptance.plan import MINUTE, Step

NOT_RUN: Final = "it cannot be run"
"""Beginning of the reason of a step whose program did not start."""
GRACES: Final = ((signal.SIGINT, 180.0), (signal.SIGTERM, 30.0), (signal.SIGKILL, 30.0))
"""Signals that end a step, and seconds to wait for each; on SIGINT, Pulumi ends what it has begun."""


@dataclass(frozen=True)
class Outcome:
    """How a step ended; `why` is empty where it succeeded."""

    step: Step
    why: str
    seconds: float
    log: Path
    output: str = ""
    """Its last lines."""

    @property
    def ok(self) -> bool:
        """True when the step succeeded."""
        return not self.why


def say(text: str, end: str = "\n") -> None:
    """Print a text, if anybody can read it: without a terminal, the teardown goes on all the same."""
    # RuntimeError: a signal's handler prints while a line is being printed.
    with suppress(OSError, ValueError, RuntimeError):
        print(text, end=end, flush=True)


class _Log:
    """Log of a step; where it cannot be written, the step runs all the same."""

    def __init__(self, path: Path) -> None:
        self._file: FileIO | None = None
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = FileIO(path, "w")

    def write(self, text: str) -> None:
        if self._file is not None:
            with suppress(OSError, ValueError):
                self._file.write(text.encode(errors="replace"))

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()


class Runner:
    """Runs steps in `root`, each in a session of its own: a terminal's signals reach this process alone."""

    def __init__(self, root: Path, folder: Path, env: Mapping[str, str], *, unit: float = MINUTE) -> None:
        self._root, self._folder, self._env, self._unit = root, folder, env, unit
        self._number = 0
        self.stop = threading.Event()
        """Set by signals; ends the step that runs, unless it is one of the teardown."""

    def run(self, step: Step, *, until: float | None = None, whole: bool = False) -> Outcome:
        """Run a step until it ends, at most for its limit, and until the monotonic time `until`.

        A step that is `whole` is ended by nothing but its limit.
        """
        self._number += 1
        log = self._folder / f"{self._number:02}-{step.name}.log"
        say(f"\n$ {shlex.join(step.command)}")
        began = time.monotonic()
        deadline = began + step.minutes * self._unit
        if until is not None:
            deadline = min(deadline, until)
        tail = list[str]()
        with closing(_Log(log)) as file:
            file.write(f"$ {shlex.join(step.command)}\n")
            try:
                process = subprocess.Popen(
                    step.command,
                    cwd=self._root,
                    env=dict(self._env),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
            except OSError as error:
                return Outcome(step, f"{NOT_RUN}: {error.strerror}", 0.0, log)

            def read() -> None:
                for line in process.stdout or ():
                    say(line, end="")
                    file.write(line)
                    tail.append(line)
                    del tail[:-40]

            reader = threading.Thread(target=read, daemon=True)
            reader.start()
            why = self._wait(process, deadline, whole)
            # A program that it left behind may keep the pipe.
            reader.join(10)
        return Outcome(step, why, time.monotonic() - began, log, "".join(tail))

    def _wait(self, process: subprocess.Popen[str], deadline: float, whole: bool) -> str:
        """Wait for a process; return why it did not succeed."""
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(0.2)
                return "" if code == 0 else f"status {code}"
            if self.stop.is_set() and not whole:
                self._end(process)
                return "interrupted"
            if time.monotonic() >= deadline:
                self._end(process)
                return "it ran past its time limit"

    def _end(self, process: subprocess.Popen[str]) -> None:
        for number, grace in GRACES:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace * self._unit / MINUTE)
                break
        # What it started and left: a second `pulumi` must not meet the plugins of this one.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

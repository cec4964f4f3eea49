"""Lines of progress, one for each command that runs: redrawn together on a terminal, else repeated."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

ERASE = "\r\033[K"
UP = "\033[A\033[K"
REPEAT_S = 0.2
"""Minimum interval between redraws of a terminal's lines."""
HEARTBEAT_S = 60
"""Interval of progress lines without a terminal."""


class _Screen:
    """Lines of what runs, below what has been printed; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._lines: list[Line] = []
        self._drawn = 0

    def print(self, text: str, to: TextIO | None = None) -> None:
        """Print text above the lines."""
        with self._lock:
            self._erase()
            print(text, file=to or sys.stdout, flush=True)
            self._draw()

    def alone(self, body: Callable[[], bool]) -> bool:
        """Call `body`, which may ask the user something, while no line is drawn."""
        with self._lock:
            self._erase()
            try:
                return body()
            finally:
                self._draw()

    def add(self, line: Line) -> None:
        """Show a line from now on."""
        with self._lock:
            self._erase()
            self._lines.append(line)
            self._draw()

    def redraw(self) -> None:
        """Draw the lines as they are now."""
        with self._lock:
            self._erase()
            self._draw()

    def end(self, line: Line, text: str) -> None:
        """Replace a line by its last text, above the others."""
        with self._lock:
            self._erase()
            if line in self._lines:
                self._lines.remove(line)
            print(text, flush=True)
            self._draw()

    def _erase(self) -> None:
        if self._drawn:
            print(ERASE + UP * (self._drawn - 1), end="", flush=True)
        self._drawn = 0

    def _draw(self) -> None:
        if self._lines:
            width = _columns()
            print("\n".join(line.text()[:width] for line in self._lines), end="", flush=True)
        self._drawn = len(self._lines)


screen = _Screen()


class Line:
    """A line of progress of one command."""

    def __init__(self, title: str) -> None:
        self.title, self.shown = title, ""
        self._since = self._drawn = time.monotonic()
        self._live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        if self._live:
            screen.add(self)
        else:
            screen.print(f"  {title} …")

    def text(self) -> str:
        """Return title, elapsed seconds and the current step."""
        return f"  {self.title} … {time.monotonic() - self._since:.0f} s  {self.shown}"

    def show(self, note: str) -> None:
        """Show the command's current step."""
        self.shown = note
        now = time.monotonic()
        if now - self._drawn < (REPEAT_S if self._live else HEARTBEAT_S):
            return
        self._drawn = now
        if self._live:
            screen.redraw()
        else:
            screen.print(self.text())

    def end(self, result: str) -> None:
        """Finish the line with the result and the elapsed seconds."""
        screen.end(self, f"  {self.title}: {result} ({time.monotonic() - self._since:.0f} s)")


def _columns() -> int:
    try:
        return os.get_terminal_size().columns - 1
    except OSError:
        return 100

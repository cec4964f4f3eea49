"""One line per long command: what it does, for how long, and where its full log lies."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bootstrap.errors import CommandFailed

ERASE = "\r\033[K"
REPEAT_S = 0.2
"""How often a terminal's line is drawn again at most."""
HEARTBEAT_S = 60
"""How often a log without a terminal hears that the command still runs."""
SHOWN_LINES = 12


def run(
    title: str,
    argv: Sequence[str],
    *,
    log: Path,
    fix: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    note: Callable[[str], str | None] | None = None,
) -> None:
    """Runs a command, its output appended to `log`, a line about it kept up to date.

    Args:
        title: what the command does, for people.
        log: grows; its folder is made.
        fix: the next command to type when this one fails.
        note: one line of output -> what to show of it, or None for the last thing shown.

    Raises:
        CommandFailed: it ended with a non-zero status; the last lines of output are shown before.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    line, last = Line(title), list[str]()
    with log.open("a") as file:
        file.write(f"\n$ {shlex.join(argv)}\n")
        try:
            process = subprocess.Popen(
                argv,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except FileNotFoundError as error:
            raise CommandFailed(argv[0], "there is no such command", fix, exit_code=127) from error
        with process:
            for output in process.stdout or ():
                file.write(output)
                file.flush()
                last = [*last, output][-SHOWN_LINES:]
                line.show((note(output.rstrip()) if note else None) or line.shown)
        if process.returncode:
            line.end("failed")
            sys.stderr.writelines(f"    {output}" for output in last)
            raise CommandFailed(
                title,
                f"`{shlex.join(argv[:3])}` ended with status {process.returncode}; the full log is {log}",
                fix,
                exit_code=process.returncode,
                output="".join(last),
            )
    line.end("")


class Line:
    """A line of progress: redrawn on a terminal, repeated now and then where there is none."""

    def __init__(self, title: str) -> None:
        self.title, self.shown, self._since, self._drawn = title, "", time.monotonic(), 0.0
        self._live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        if not self._live:
            print(f"  {title} …", flush=True)
            self._drawn = self._since

    def show(self, note: str) -> None:
        """Says where the command is."""
        self.shown = note
        now = time.monotonic()
        if now - self._drawn < (REPEAT_S if self._live else HEARTBEAT_S):
            return
        self._drawn = now
        said = f"  {self.title} … {now - self._since:.0f} s  {note}"
        print(
            f"{ERASE}{said[: _columns()]}" if self._live else said, end="" if self._live else "\n", flush=True
        )

    def end(self, result: str) -> None:
        """Closes the line with the seconds it took."""
        took = f"{self.title}: {result or 'done'} ({time.monotonic() - self._since:.0f} s)"
        print(f"{ERASE if self._live else ''}  {took}", flush=True)


def _columns() -> int:
    try:
        return os.get_terminal_size().columns - 1
    except OSError:
        return 100

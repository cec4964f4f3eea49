"""Long commands with one line of progress each and a full log."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bootstrap.errors import CaffeSparkError, CommandFailed

ERASE = "\r\033[K"
REPEAT_S = 0.2
"""Minimum interval between redraws of a terminal's line."""
HEARTBEAT_S = 60
"""Interval of progress lines without a terminal."""
SHOWN_LINES = 12
LIMIT_S = 7200.0
"""Limit of a command: the longest, Go's compilation of the Pulumi CLI, takes half an hour on one core."""
KILL_GRACE_S = 10.0
"""Between SIGTERM and SIGKILL."""


def run(
    title: str,
    argv: Sequence[str],
    *,
    log: Path,
    fix: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    note: Callable[[str], str | None] | None = None,
    limit: float = LIMIT_S,
) -> None:
    """Run a command, append its output to `log`, and keep a line of progress up to date.

    Args:
        title: the command's purpose, for display.
        log: file to append to; its folder is created.
        fix: the next command to type if this one fails.
        note: maps a line of output to the text to show; None keeps the last text.
        limit: seconds after which the command is ended.

    Raises:
        CommandFailed: it ended with a non-zero status, or at its limit; its last lines of output are printed
            first.
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
        with process, Limit(process, limit) as ended:
            for output in process.stdout or ():
                file.write(output)
                file.flush()
                last = [*last, output][-SHOWN_LINES:]
                line.show((note(output.rstrip()) if note else None) or line.shown)
            process.wait()
        if process.returncode or ended.passed:
            line.end("failed")
            sys.stderr.writelines(f"    {output}" for output in last)
            how = (
                f"did not end within {limit:g} s"
                if ended.passed
                else f"ended with status {process.returncode}"
            )
            raise CommandFailed(
                title,
                f"`{shlex.join(argv[:3])}` {how}; the full log is {log}",
                fix,
                exit_code=process.returncode,
                output="".join(last),
            )
    line.end("")


class Limit:
    """Limit on a running command and what it has started: SIGTERM after `seconds`, then SIGKILL."""

    def __init__(self, process: subprocess.Popen[str], seconds: float) -> None:
        self._process, self._seconds = process, seconds
        self._over = threading.Event()
        self.passed = False

    def __enter__(self) -> Limit:
        threading.Thread(target=self._wait, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _wait(self) -> None:
        if self._over.wait(self._seconds):
            return
        self.passed = True
        # Its children too: one that keeps the output open would be read from for ever. They have no group of
        # their own, in which they would get no Ctrl-C, and sudo would ask for a password again.
        found: list[int] = []
        for number, grace in ((signal.SIGTERM, KILL_GRACE_S), (signal.SIGKILL, 0.0)):
            # Those of the first look too: an orphan is nobody's child any more.
            found = list(dict.fromkeys([*found, *family(self._process.pid)]))
            for pid in found:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            if self._over.wait(grace):
                return


def family(pid: int) -> list[int]:
    """Return a process and its descendants; alone where there is no /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            words = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(words[1]), []).append(int(stat.parent.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


class Line:
    """A line of progress: redrawn on a terminal, otherwise repeated at intervals."""

    def __init__(self, title: str) -> None:
        self.title, self.shown, self._since, self._drawn = title, "", time.monotonic(), 0.0
        self._live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        if not self._live:
            print(f"  {title} …", flush=True)
            self._drawn = self._since

    def show(self, note: str) -> None:
        """Show the command's current step."""
        self.shown = note
        now = time.monotonic()
        if now - self._drawn < (REPEAT_S if self._live else HEARTBEAT_S):
            return
        self._drawn = now
        text = f"  {self.title} … {now - self._since:.0f} s  {note}"
        print(
            f"{ERASE}{text[: _columns()]}" if self._live else text, end="" if self._live else "\n", flush=True
        )

    def end(self, result: str) -> None:
        """Finish the line with the result and the elapsed seconds."""
        took = f"{self.title}: {result or 'done'} ({time.monotonic() - self._since:.0f} s)"
        print(f"{ERASE if self._live else ''}  {took}", flush=True)


def run_main(body: Callable[[], object]) -> int:
    """Run a tool's body; return its exit status, 1 after an expected failure, which is one line on stderr."""
    try:
        body()
    except CaffeSparkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _columns() -> int:
    try:
        return os.get_terminal_size().columns - 1
    except OSError:
        return 100

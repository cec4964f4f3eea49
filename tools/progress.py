"""Long commands with one line of progress each and a full log."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bootstrap.errors import CaffeSparkError, CommandFailed
from tools.lines import Line, screen
from tools.processes import Limit, Stopped, programs

SHOWN_LINES = 12
LIMIT_S = 7200.0
"""Limit of a command: the longest, Go's compilation of the Pulumi CLI, takes half an hour on one core."""


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
    whole: bool = False,
) -> None:
    """Run a command, append its output to `log`, and keep a line of progress up to date.

    Args:
        title: the command's purpose, for display.
        log: file to append to; its folder is created.
        fix: the next command to type if this one fails.
        note: maps a line of output to the text to show; None keeps the last text.
        limit: seconds after which the command is ended.
        whole: the command comes to its own end when another part of the set-up fails.

    Raises:
        Stopped: another part of the set-up failed, or the user stopped it.
        CommandFailed: it ended with a non-zero status, or at its limit; its last lines of output are printed
            first.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    line, last = Line(title), list[str]()
    with log.open("a") as file:
        file.write(f"\n$ {shlex.join(argv)}\n")
        try:
            process = programs.start(argv, env=env, cwd=cwd, whole=whole)
        except FileNotFoundError as error:
            line.end("failed")
            raise CommandFailed(argv[0], "there is no such command", fix, exit_code=127) from error
        except Stopped:
            line.end("stopped")
            raise
        with process, Limit(process, limit) as ended:
            for output in process.stdout or ():
                file.write(output)
                file.flush()
                last = [*last, output][-SHOWN_LINES:]
                line.show((note(output.rstrip()) if note else None) or line.shown)
            process.wait()
        try:
            programs.ended(process)
        except Stopped:
            line.end("stopped")
            raise
        if process.returncode or ended.passed:
            line.end("failed")
            if last:
                screen.print("".join(f"    {output}" for output in last).rstrip("\n"), sys.stderr)
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
    line.end("done")


def run_main(body: Callable[[], object]) -> int:
    """Run a tool's body; return its exit status, 1 after an expected failure, which is one line on stderr."""
    try:
        body()
    except CaffeSparkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0

"""Watcher that reports a worker's last stderr lines: a native CHECK failure aborts the worker itself.

The worker's stderr is a pipe to this process, which copies it, keeps the last lines, and sends them to the
driver if the pipe closes without the worker's end marker. Run as `python -m jobs.trainer.events.watch`.
"""

from __future__ import annotations

import faulthandler
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import Iterator, List

from jobs.trainer.contract import NATIVE, SILENT, WATCH_ENV, RankFailed
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.channel import Address, Sender

GOODBYE = b"\x00goodbye\n"
REMEMBERED = 40
"""Lines that are kept; after a fatal one, the lines that follow it instead of those before."""
STDERR = 2
_CRASH = "Fatal Python error: "
"""Start of the line that Python's fault handler writes for a signal such as SIGSEGV, before its stack."""


@contextmanager
def watched(address: Address, rank: int, host: str) -> Iterator[None]:
    """Watch this process's stderr in this block, to which a crash writes its signal."""
    reading, writing = os.pipe()
    code = [sys.executable, "-m", __name__]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    watcher = subprocess.Popen(
        code,
        stdin=reading,
        env=dict(environment, **{WATCH_ENV: json.dumps({"address": address, "rank": rank, "host": host})}),
    )
    os.close(reading)
    sys.stderr.flush()
    kept = os.dup(STDERR)
    os.dup2(writing, STDERR)
    os.close(writing)
    # Spark's worker may have enabled it, into a file of its own; it does so again for the next task.
    faulthandler.enable(STDERR, all_threads=False)
    try:
        yield
    finally:
        faulthandler.disable()
        # The worker reports Python failures itself; only a process that dies in the block is reported here.
        sys.stderr.flush()
        os.write(STDERR, GOODBYE)
        os.dup2(kept, STDERR)
        os.close(kept)
        watcher.wait()


def failure(rank: int, host: str, origin: str, error: BaseException) -> RankFailed:
    """Return the report of a rank's exception."""
    if isinstance(error, TrainerError):
        return RankFailed(rank, host, origin, str(error), error.code, error.fields)
    return RankFailed(rank, host, origin, "{}: {}".format(type(error).__name__, error))


def main() -> None:
    """Copy stdin to stderr; report the last lines if the writer died."""
    about = json.loads(os.environ[WATCH_ENV])
    tail: List[str] = []
    fatal = False
    for line in sys.stdin.buffer:
        if line.endswith(GOODBYE):
            sys.stderr.buffer.write(line[: -len(GOODBYE)])
            return
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
        text = line.decode(errors="replace").rstrip()
        fatal = fatal or is_fatal(text) or text.startswith(_CRASH)
        if not fatal:
            del tail[: 1 - REMEMBERED]
        if len(tail) < 2 * REMEMBERED:
            tail.append(text)
    sender = Sender(Address(*about["address"]))
    sender.send(
        RankFailed(
            rank=about["rank"],
            host=about["host"],
            origin=NATIVE if fatal else SILENT,
            reason=last_words(tail),
            tail=tail,
        )
    )
    sender.close()


def is_fatal(line: str) -> bool:
    """Return whether a line is glog's FATAL: F0131 12:00:00.000000 123 net.cpp:53] Check failed: …"""
    return line[:1] == "F" and line[1:5].isdigit() and "] " in line


def last_words(lines: List[str]) -> str:
    """Return the reason: glog's FATAL line, else the signal of a crash and the last line before it."""
    for index, line in enumerate(lines):
        if is_fatal(line):
            # A message may continue on the next line, unless that begins the stack.
            more = "".join(lines[index + 1 : index + 2])
            stack = more.lstrip().startswith("***") or more.startswith(_CRASH)
            words = line.partition("] ")[2] + ("" if stack else " " + more)
            return " ".join(words.split())
    crash = next((index for index, line in enumerate(lines) if line.startswith(_CRASH)), len(lines))
    signal = " ({})".format(lines[crash][len(_CRASH) :]) if crash < len(lines) else ""
    said = [line for line in lines[:crash] if line.strip()]
    words = ": " + said[-1].strip() if said else "" if signal else " without a word"
    return "the worker process died" + signal + words


if __name__ == "__main__":
    main()

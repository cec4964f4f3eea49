"""Watcher that reports a worker's last stderr lines: a native CHECK failure aborts the worker itself.

The worker's stderr is a pipe to this process, which copies it, keeps the last lines, and sends them to the
driver if the pipe closes without the worker's end marker. Run as `python -m jobs.trainer.events.watch`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from contextlib import contextmanager
from typing import Deque, Iterator

from jobs.trainer.contract import NATIVE, SILENT, WATCH_ENV, RankFailed
from jobs.trainer.events.channel import Address, Sender

GOODBYE = b"\x00goodbye\n"
REMEMBERED = 40
STDERR = 2


@contextmanager
def watched(address: Address, rank: int, host: str) -> Iterator[None]:
    """Watch this process's stderr in this block."""
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
    try:
        yield
    finally:
        # The worker reports Python failures itself; only a process that dies in the block is reported here.
        sys.stderr.flush()
        os.write(STDERR, GOODBYE)
        os.dup2(kept, STDERR)
        os.close(kept)
        watcher.wait()


def main() -> None:
    """Copy stdin to stderr; report the last lines if the writer died."""
    about = json.loads(os.environ[WATCH_ENV])
    tail: Deque[str] = deque(maxlen=REMEMBERED)
    for line in sys.stdin.buffer:
        if line.endswith(GOODBYE):
            sys.stderr.buffer.write(line[: -len(GOODBYE)])
            return
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
        tail.append(line.decode(errors="replace").rstrip())
    sender = Sender(Address(*about["address"]))
    sender.send(
        RankFailed(
            rank=about["rank"],
            host=about["host"],
            origin=NATIVE if any(is_fatal(line) for line in tail) else SILENT,
            reason=last_words(list(tail)),
            tail=list(tail),
        )
    )
    sender.close()


def is_fatal(line: str) -> bool:
    """Return whether a line is glog's FATAL: F0131 12:00:00.000000 123 net.cpp:53] Check failed: …"""
    return line[:1] == "F" and line[1:5].isdigit() and "] " in line


def last_words(lines: "list[str]") -> str:
    """Return the reason: glog's FATAL line, else the last line."""
    for index, line in enumerate(lines):
        if is_fatal(line):
            # A message may continue on the next line, unless that begins the stack.
            more = "".join(lines[index + 1 : index + 2])
            words = line.partition("] ")[2] + ("" if more.lstrip().startswith("***") else " " + more)
            return " ".join(words.split())
    said = [line for line in lines if line.strip()]
    return "the worker process died" + (": " + said[-1].strip() if said else " without a word")


if __name__ == "__main__":
    main()

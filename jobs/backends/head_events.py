"""Events of a job on the head, read as far as a curve needs them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from bootstrap import paths
from bootstrap.ssh.as_user import AS_USER
from bootstrap.ssh.remote import Remote
from jobs.backends.base import OnLine
from jobs.backends.opened import OPENED
from jobs.trainer.contract import Event, start_of

MOST_READ: Final = 1 << 30
"""Bytes of events to read on the head: a job may have written any number of them."""
MOST_SENT: Final = 64 << 20
"""Bytes of them to send."""
LONGEST_LINE: Final = 1 << 20
TIMEOUT: Final = 300.0

_PRINT = (
    r"""
import os, stat, sys
path, read, sent, longest = sys.argv[1], *map(int, sys.argv[2:5])
starts = tuple(start.encode() for start in sys.argv[5:])
"""
    + OPENED
    + r"""out = sys.stdout.buffer
try:
    with open(path, "rb", opener=opened) as file:
        while read > 0 and sent > 0:
            line = file.readline(longest)
            if not line:
                break
            read -= len(line)
            # Of a job that runs, the last line may lack its end.
            if line.startswith(starts) and line.endswith(b"\n"):
                sent -= len(line)
                out.write(line)
except OSError:
    pass
out.write(b"all" if read > 0 and sent > 0 else b"cut")
"""
)


def read(head: Remote, path: str, kinds: Sequence[type[Event]], on_line: OnLine) -> bool:
    """Pass each line of these kinds to `on_line`; return whether the whole file was read.

    Raises:
        CommandFailed: the head cannot run the program.
        Unreachable: the head does not answer.
    """
    words = [path, str(MOST_READ), str(MOST_SENT), str(LONGEST_LINE), *map(start_of, kinds)]
    found = head.run(
        f"""{AS_USER}as_user {paths.JOB_USER} {paths.ANY_PYTHON} - {shlex.join(words)} <<'EVENTS'
{_PRINT}
EVENTS
""",
        timeout=TIMEOUT,
    )
    # Only a line feed ends a line: JSON may hold U+2028 and its like as they are.
    *lines, last = found.stdout.split("\n")
    for line in lines:
        on_line(line)
    return last == "all"

"""Locks between processes of one machine: waiting is said, and has a limit."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable
from typing import IO, Any

from bootstrap.errors import CaffeSparkError

LOOK_S = 0.1
"""Between two attempts."""


def take(file: IO[Any], what: str, limit: float, say: Callable[[str], object]) -> None:
    """Lock an open file, which its holder's end, or closing it, releases.

    Args:
        what: the work that the lock is for, e.g. `the set-up`.
        limit: seconds to wait for another holder.
        say: called with one line if another process holds the lock.

    Raises:
        CaffeSparkError: it still holds the lock after `limit` seconds.
    """
    deadline, said = time.monotonic() + limit, False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise CaffeSparkError(
                    f"{what} ({file.name})",
                    f"another process has kept it locked for {limit:.0f} s",
                    f"Run `fuser -v {file.name}`, end that process if it is stuck, then rerun the command.",
                ) from None
        else:
            return
        if not said:
            said = True
            say(f"Another process is busy with {what}; waiting for it, for at most {limit / 60:.0f} minutes.")
        time.sleep(LOOK_S)

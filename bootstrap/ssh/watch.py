"""Guards against waiting for ever: a limit on one operation, and a watch on a connection's signs of life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import paramiko

from bootstrap.ssh import limits
from bootstrap.ssh.line import Line

KEEPALIVE_REQUEST = "keepalive@openssh.com"
"""A request that every server answers, most with a refusal."""


class Limit:
    """Limit on a `with` block: after `seconds`, `end` is called, which has to wake the block's thread.

    Paramiko's own time-outs cover opening a channel, reading and writing; they do not cover waiting for a
    request's answer or for an exit status, nor a sequence of calls.
    """

    def __init__(self, seconds: float, end: Callable[[], object]) -> None:
        self._seconds, self._end = seconds, end
        self._deadline = time.monotonic() + seconds
        self._over = threading.Event()
        self.passed = False

    def __enter__(self) -> Limit:
        threading.Thread(target=self._wait, name="ssh-limit", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    @property
    def left(self) -> float:
        """Seconds until the limit, at least 0."""
        return max(0.0, self._deadline - time.monotonic())

    def extend(self) -> None:
        """Begin the time anew, on progress."""
        self._deadline = time.monotonic() + self._seconds

    def _wait(self) -> None:
        while self.left > 0:
            if self._over.wait(self.left):
                return
        self.passed = True
        with suppress(paramiko.SSHException, OSError, EOFError):
            self._end()


class Watch:
    """Watch on a connection: closes it when the node sends nothing for `limits.SILENCE`, asked to.

    TCP alone notices a vanished peer after 15 minutes, and never behind a proxy command. Closing wakes every
    thread that waits on the connection, also one that is blocked in writing to it.
    """

    def __init__(self, transport: paramiko.Transport, line: Line) -> None:
        self._transport, self._line = transport, line
        self._over = threading.Event()
        self.silent = False
        threading.Thread(target=self._watch, name="ssh-watch", daemon=True).start()

    def stop(self) -> None:
        """End the watch."""
        self._over.set()

    def _watch(self) -> None:
        # Looks are counted, not seconds: a process or machine that was suspended has not been listening.
        looks, received = 0, self._line.received
        asking: threading.Thread | None = None
        while self._transport.is_active() and not self._over.wait(limits.CHECK):
            if self._line.received != received:
                looks, received = 0, self._line.received
                continue
            looks += 1
            if looks * limits.CHECK >= limits.SILENCE:
                self.silent = True
                self._transport.close()
            elif looks * limits.CHECK >= limits.KEEPALIVE and not (asking and asking.is_alive()):
                # A thread of its own: it blocks until the answer, or until the connection is closed.
                asking = threading.Thread(target=self._ask, name="ssh-keepalive", daemon=True)
                asking.start()

    def _ask(self) -> None:
        with suppress(paramiko.SSHException, OSError, EOFError):
            self._transport.global_request(KEEPALIVE_REQUEST)

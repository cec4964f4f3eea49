"""Byte streams to a node below SSH: a TCP socket, a channel through the head, or a proxy command."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress

import paramiko

END_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL for a proxy command."""


class Line:
    """A stream as the socket of a `paramiko.Transport`; counts what it receives.

    It has the methods that paramiko uses of a socket, as `paramiko.ProxyCommand` has.
    """

    def __init__(self, stream: socket.socket | paramiko.Channel) -> None:
        self._stream = stream
        self._closed = False  # paramiko reads it
        self.received = 0
        """Bytes so far."""

    @property
    def complaint(self) -> str:
        """Last line that a program on the way wrote about itself; empty if there is none."""
        return ""

    def recv(self, size: int) -> bytes:
        """Receive up to `size` bytes; none at the end of the stream."""
        data = self._stream.recv(size)
        self.received += len(data)
        return data

    def send(self, data: bytes) -> int:
        """Send bytes; return how many were taken."""
        return self._stream.send(data)

    def settimeout(self, seconds: float | None) -> None:
        """Limit each `recv` and `send`."""
        self._stream.settimeout(seconds)

    def close(self) -> None:
        """Close the stream; whoever waits on it wakes up."""
        self._closed = True
        if isinstance(self._stream, socket.socket):
            with suppress(OSError):
                self._stream.shutdown(socket.SHUT_RDWR)
        # A channel says so to the head, which may be gone as well.
        with suppress(paramiko.SSHException, OSError, EOFError):
            self._stream.close()


class ProxyLine(Line):
    """The standard streams of a proxy command.

    Paramiko's `ProxyCommand` misses the end of its program, and a write to a program that does not read
    blocks it for ever; here the program has a socket, with time-outs and an end.
    """

    def __init__(self, command: str) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        self._ending, self._ended = threading.Lock(), False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the interpreter, read after `close`
        try:
            with theirs:
                # A session of its own: Ctrl-C ends what this process does, not its way to the node, and
                # the program's children end with it.
                self._program = subprocess.Popen(
                    shlex.split(command),
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._errors,
                    start_new_session=True,
                )
        except OSError:
            ours.close()
            raise

    @property
    def complaint(self) -> str:
        """See `Line.complaint`."""
        size = os.fstat(self._errors.fileno()).st_size
        # Not `read`, which would move the offset at which the program writes.
        text = os.pread(self._errors.fileno(), 4096, max(0, size - 4096)).decode(errors="replace")
        return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")

    def close(self) -> None:
        """See `Line.close`; the program and its children are gone afterwards."""
        super().close()
        with self._ending:
            if self._ended:
                return
            self._ended = True
            self._kill(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._program.wait(END_GRACE)
            self._kill(signal.SIGKILL)
            self._program.wait()

    def _kill(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._program.pid, number)

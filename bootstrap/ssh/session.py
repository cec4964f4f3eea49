"""SSH connections after their login: commands and file transfers on them, each wait with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import cast

import paramiko

from bootstrap.ssh import limits
from bootstrap.ssh.line import Line
from bootstrap.ssh.watch import Limit, Watch

BROKEN = (paramiko.SSHException, OSError, EOFError)
"""Paramiko's errors of a connection that is broken, or closed by a limit."""


class Session:
    """An SSH connection, watched for signs of life."""

    def __init__(self, transport: paramiko.Transport, line: Line, through: Session | None = None) -> None:
        self._transport, self._through = transport, through
        self._watch = Watch(transport, line)

    @property
    def silent(self) -> bool:
        """True when the connection, or the one below it, was closed since nothing came from the node."""
        return self._watch.silent or (self._through is not None and self._through.silent)

    @property
    def alive(self) -> bool:
        """False when the connection, or the one below it, is known to have ended."""
        return self._transport.is_active() and (self._through is None or self._through.alive)

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self._watch.stop()
        self._transport.close()

    def reason(self, error: BaseException) -> str:
        """Return why an operation ended with an error of `BROKEN`."""
        if self.silent:
            return f"nothing came from the node for {limits.SILENCE:g} s"
        return str(error) or type(error).__name__

    def forward(self, host: str, port: int, seconds: float) -> paramiko.Channel:
        """Open a connection from the node to another one, within `seconds`."""
        return self._transport.open_channel("direct-tcpip", (host, port), ("", 0), timeout=seconds)

    @contextmanager
    def command(self, words: str, seconds: float) -> Iterator[paramiko.Channel]:
        """Start a command within `seconds`; yield the channel of its streams, which is closed at the end."""
        deadline = time.monotonic() + seconds
        with self._channel(seconds) as channel:
            with _answer(channel, deadline - time.monotonic()):
                channel.exec_command(words)
            yield channel

    @contextmanager
    def files(self, scratch: str, folder: str | None = None) -> Iterator[paramiko.SFTPClient]:
        """Open an SFTP session; after a failed transfer remove `scratch`, if the node still responds.

        `folder` is the folder of `scratch` where that is made for it, and removed with it.
        """
        with self._channel(limits.ANSWER) as channel:
            with _answer(channel, limits.ANSWER):
                channel.invoke_subsystem("sftp")
            with Limit(limits.STALL, channel.close) as limit:
                try:
                    sftp = paramiko.SFTPClient(cast(paramiko.Channel, _Moving(channel, limit.extend)))
                    try:
                        yield sftp
                    except BROKEN:
                        with suppress(*BROKEN):
                            sftp.remove(scratch)
                        if folder is not None:
                            with suppress(*BROKEN):
                                sftp.rmdir(folder)
                        raise
                except BROKEN as error:
                    if limit.passed:
                        raise TimeoutError(f"nothing moved for {limits.STALL:g} s") from error
                    raise

    @contextmanager
    def _channel(self, seconds: float) -> Iterator[paramiko.Channel]:
        channel = self._transport.open_session(timeout=seconds)
        try:
            yield channel
        finally:
            channel.close()


class _Moving:
    """A channel that reports each movement of data, both ways.

    Paramiko's callbacks report what was handed to the channel: megabytes before it has crossed a slow line.
    """

    def __init__(self, channel: paramiko.Channel, moved: Callable[[], None]) -> None:
        self._channel, self._moved = channel, moved

    def recv(self, size: int) -> bytes:
        data = self._channel.recv(size)
        self._moved()
        return data

    def send(self, data: bytes) -> int:
        sent = self._channel.send(data)
        self._moved()
        return sent

    def __getattr__(self, name: str) -> object:
        return getattr(self._channel, name)


@contextmanager
def _answer(channel: paramiko.Channel, seconds: float) -> Iterator[None]:
    """Limit the wait for a channel's answer to a request."""
    with Limit(seconds, channel.close) as limit:
        try:
            yield
        except BROKEN as error:
            if limit.passed:
                raise TimeoutError(f"no answer for {seconds:.0f} s") from error
            raise

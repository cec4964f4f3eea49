"""A network between a client and a server on this machine that can swallow packets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

ENDPOINT = "127.0.0.1"
HANGS = 20.0
"""Seconds after which an operation counts as one that waits for ever; limits in tests are under two."""


def ends(call: Callable[[], Any]) -> Any:
    """Return what the call returns or raises; fail if it waits for ever."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # the test looks at it
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(HANGS)
    assert results, f"it waits for longer than {HANGS:g} s"
    return results[0]


class Network:
    """A TCP relay to `port`, reached at `self.port`.

    While it swallows, nothing passes in either direction and every connection stays open. Connections of
    that time stay dead when it recovers, as behind a NAT that forgot them.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server((ENDPOINT, 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Condition()
        self._sockets: list[socket.socket] = []
        self._dead: set[socket.socket] = set()
        self._swallows = self._deaf = False
        self.opened = 0
        """Connections so far."""
        self.passed = 0
        """Bytes so far."""
        self._left: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self, *, deaf: bool = False, after: int = 0) -> None:
        """Swallow everything from now on, or from `after` bytes on; `deaf`: senders are stopped as well."""
        with self._lock:
            self._deaf = deaf
            if after:
                self._left = after
            else:
                self._swallow()

    def _swallow(self) -> None:
        self._swallows = True
        self._dead.update(self._sockets)
        self._lock.notify_all()

    def recover(self) -> None:
        """Let connections that are opened from now on pass."""
        with self._lock:
            self._swallows = False
            self._left = None

    def wait_until_swallowing(self, seconds: float = 10) -> None:
        """Wait for the end of the bytes that `swallow` let pass."""
        with self._lock:
            assert self._lock.wait_for(lambda: self._swallows, seconds)

    def close(self) -> None:
        """Close all connections."""
        self._listener.close()
        with self._lock:
            sockets = list(self._sockets)
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection((ENDPOINT, self._server))
            except OSError:
                return
            with self._lock:
                self.opened += 1
                self._sockets += [client, server]
                if self._swallows:
                    self._dead |= {client, server}
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._relay, args=pair, daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._passes(source, len(data)):
                    target.sendall(data)
                elif self._deaf:
                    return
        with self._lock:
            alive = source not in self._dead
        if alive:
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)

    def _passes(self, source: socket.socket, size: int) -> bool:
        with self._lock:
            if self._left is not None and not self._swallows:
                self._left -= size
                if self._left < 0:
                    self._swallow()
            passes = source not in self._dead
            self.passed += size if passes else 0
            return passes

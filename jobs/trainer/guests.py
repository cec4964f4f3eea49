"""Connections of clients that nobody knows yet: bounded in number, in bytes and in time."""

from __future__ import annotations

import errno
import selectors
import socket
import threading
import time
from typing import Callable, Dict

_TICK = 0.05


class Guest:
    """A connection that has proved nothing yet: the words that greeted it, and those that it has said."""

    def __init__(self, connection: socket.socket, greeting: bytes, patience: float) -> None:
        self.connection, self.greeting, self.said = connection, greeting, b""
        self.deadline = time.monotonic() + patience


class Guests:
    """Serves a listening socket until it is told to stop; closes the socket and whoever is unknown then.

    Each client is greeted with the bytes that `greet` returns, and is handed to `judge` when it has said
    `size` bytes or will say no more. `judge` returns whether it takes the connection over, which is
    non-blocking; others are closed. Of `most` clients at once, the oldest makes room for a new one, and each
    has `patience` seconds. No byte after `size` is read.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        most: int,
        size: int,
        patience: float,
        judge: Callable[[Guest], bool],
        greet: Callable[[], bytes] = bytes,
    ) -> None:
        self._listener, self._judge, self._greet = listener, judge, greet
        self._most, self._size, self._patience = most, size, patience
        self._guests: Dict[socket.socket, Guest] = {}

    def serve(self, stop: threading.Event) -> None:
        """Serve in this thread."""
        self._listener.setblocking(False)
        with self._listener, selectors.DefaultSelector() as self._selector:
            self._selector.register(self._listener, selectors.EVENT_READ)
            while not stop.is_set():
                for key, _ in self._selector.select(_TICK):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._guests:
                        self._hear(self._guests[key.fileobj])
                now = time.monotonic()
                for guest in [guest for guest in self._guests.values() if guest.deadline < now]:
                    self._drop(guest)
            for guest in list(self._guests.values()):
                self._drop(guest)

    def _accept(self) -> None:
        try:
            connection = self._listener.accept()[0]
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                # The client keeps waiting, and this would be called again at once.
                if self._guests:
                    self._drop(next(iter(self._guests.values())))
                else:
                    time.sleep(_TICK)
            return  # else the client is gone already
        connection.setblocking(False)
        if len(self._guests) >= self._most:
            self._drop(next(iter(self._guests.values())))
        guest = self._guests[connection] = Guest(connection, self._greet(), self._patience)
        self._selector.register(connection, selectors.EVENT_READ)
        try:
            connection.send(guest.greeting)
        except OSError:
            self._drop(guest)
            return
        self._hear(guest)

    def _hear(self, guest: Guest) -> None:
        try:
            said = guest.connection.recv(self._size - len(guest.said))
        except BlockingIOError:
            return
        except OSError:
            said = b""
        guest.said += said
        if said and len(guest.said) < self._size:
            return
        self._drop(guest, close=False)
        if not self._judge(guest):
            guest.connection.close()

    def _drop(self, guest: Guest, *, close: bool = True) -> None:
        self._selector.unregister(guest.connection)
        del self._guests[guest.connection]
        if close:
            guest.connection.close()


def bound(host: str) -> socket.socket:
    """Return a socket on a free port of an address, which does not listen yet."""
    listener = socket.socket(family_of(host), socket.SOCK_STREAM)
    listener.bind((host, 0))
    return listener


def family_of(host: str) -> socket.AddressFamily:
    """Return the family of an address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET

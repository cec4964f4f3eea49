"""Channel of events from executors to the driver: JSON lines over TCP, authenticated by a random token.

Spark reports a task to the driver only when it has ended, and training is one long task. Whoever reaches the
driver's port can connect: connections without the token are bounded in number, bytes and time.
"""

from __future__ import annotations

import hmac
import secrets
import selectors
import socket
import threading
import time
from typing import Callable, Dict, NamedTuple, Optional

from jobs.trainer.contract import Event, dump, load

CONNECT_TIMEOUT = 20
"""Seconds for a sender to be accepted, in all its tries."""
TRIES = 6
"""Times that a sender connects, since strangers can displace it before its token is read."""
PAUSE = 0.05
"""Seconds before its second try; before each further one twice as many."""
LONGEST = 1 << 20
"""Maximum bytes of a line, so that a stray client cannot fill the driver's memory."""
UNPROVEN = 256
"""Connections without the token at once; the oldest makes room for a new one. A rank needs milliseconds."""
PATIENCE = 5.0
"""Seconds for a connection to send the token, all of it."""
ACCEPTED = b"\n"
"""The driver's answer to the token."""
_TICK = 0.05


class Address(NamedTuple):
    """Address of the driver's channel and the token that opens it. Serialized with the task."""

    host: str
    port: int
    token: str

    @property
    def text(self) -> str:
        """`host:port:token`, the content of a feed's file."""
        return "{}:{}:{}".format(*self)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `text`."""
        host, port, token = text.rsplit(":", 2)
        return cls(host, int(port), token)


class Sender:
    """Executor's end; thread-safe. A lost driver is ignored, and so is one that does not accept in time."""

    def __init__(self, address: Address) -> None:
        self._lock = threading.Lock()
        self._socket = _accepted(address)

    def send(self, event: Event) -> None:
        """Send one event."""
        with self._lock:
            if self._socket is None:
                return
            try:
                self._socket.sendall(dump(event).encode() + b"\n")
            except OSError:
                self._socket = None

    def close(self) -> None:
        """Close the connection; sent events still arrive."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None


def _accepted(address: Address) -> Optional[socket.socket]:
    """Return a connection that the driver has accepted; None without one after all tries."""
    deadline = time.monotonic() + CONNECT_TIMEOUT
    for number in range(TRIES):
        if number:
            time.sleep(PAUSE * 2 ** (number - 1))
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            connection = socket.create_connection((address.host, address.port), left)
        except OSError:
            continue
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(address.token.encode() + b"\n")
            if connection.recv(len(ACCEPTED)) == ACCEPTED:
                connection.settimeout(CONNECT_TIMEOUT)
                return connection
        except OSError:
            pass
        connection.close()
    return None


class _Guest:
    """A connection that has not sent the token yet."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.said = connection, b""
        self.deadline = time.monotonic() + PATIENCE


class Channel:
    """Driver's end; calls `sink` with each event, one at a time."""

    def __init__(self, host: str, sink: Callable[[Event], None]) -> None:
        self._sink, self._sinking = sink, threading.Lock()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind((host, 0))
        self._listener.listen(UNPROVEN)
        self._listener.setblocking(False)
        self.address = Address(host, self._listener.getsockname()[1], secrets.token_hex(16))
        self._proof = self.address.token.encode() + b"\n"
        self._guests: Dict[socket.socket, _Guest] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="channel", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; events of accepted connections still arrive."""
        self._stop.set()
        self._thread.join()

    def _serve(self) -> None:
        with self._listener, selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._stop.is_set():
                for key, _ in selector.select(_TICK):
                    if key.fileobj is self._listener:
                        self._accept(selector)
                    elif key.fileobj in self._guests:
                        self._hear(selector, self._guests[key.fileobj])
                now = time.monotonic()
                for guest in [guest for guest in self._guests.values() if guest.deadline < now]:
                    self._drop(selector, guest)
            for guest in list(self._guests.values()):
                self._drop(selector, guest)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        try:
            connection = self._listener.accept()[0]
        except OSError:
            return  # the client is gone already
        connection.setblocking(False)
        if len(self._guests) >= UNPROVEN:
            self._drop(selector, next(iter(self._guests.values())))
        guest = self._guests[connection] = _Guest(connection)
        selector.register(connection, selectors.EVENT_READ)
        self._hear(selector, guest)

    def _hear(self, selector: selectors.BaseSelector, guest: _Guest) -> None:
        try:
            # No byte more than the token: what follows is read by lines.
            said = guest.connection.recv(len(self._proof) - len(guest.said))
        except BlockingIOError:
            return
        except OSError:
            said = b""
        guest.said += said
        if said and len(guest.said) < len(self._proof):
            return
        accepted = hmac.compare_digest(guest.said, self._proof)
        self._drop(selector, guest, close=not accepted)
        if accepted:
            try:
                threading.Thread(target=self._receive, args=(guest.connection,), daemon=True).start()
            except RuntimeError:  # no thread can be started now; the rank tries again
                guest.connection.close()

    def _drop(self, selector: selectors.BaseSelector, guest: _Guest, *, close: bool = True) -> None:
        selector.unregister(guest.connection)
        del self._guests[guest.connection]
        if close:
            guest.connection.close()

    def _receive(self, connection: socket.socket) -> None:
        """Pass on the events of an accepted connection until it ends."""
        connection.setblocking(True)
        try:
            with connection, connection.makefile("rb") as lines:
                connection.sendall(ACCEPTED)
                while True:
                    line = lines.readline(LONGEST)
                    if not line.endswith(b"\n"):
                        return
                    event = load(line.decode(errors="replace"))
                    if event is not None:
                        with self._sinking:
                            self._sink(event)
        except OSError:
            pass  # the rank is gone

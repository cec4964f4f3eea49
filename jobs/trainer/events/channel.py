"""Channel of events from executors to the driver: JSON lines over TCP, authenticated by a random token.

Spark reports a task to the driver only when it has ended, and training is one long task. Whoever reaches the
driver's port can connect: connections without the token are bounded in number, bytes and time.
"""

from __future__ import annotations

import hmac
import secrets
import select
import socket
import threading
import time
from contextlib import suppress
from typing import Callable, List, NamedTuple, Optional

from jobs.trainer.contract import Event, dump, load
from jobs.trainer.guests import Guest, Guests, bound

CONNECT_TIMEOUT = 20
"""Seconds for a sender to be accepted, in all its tries."""
TRIES = 6
"""Times that a sender connects, since strangers can displace it before its token is read."""
PAUSE = 0.05
"""Seconds before its second try; before each further one twice as many."""
LONGEST = 1 << 20
"""Maximum bytes of a line, so that a stray client cannot fill the driver's memory."""
LONGEST_WORDS = 4096
"""Bytes of the driver's words that a rank takes at once."""
UNPROVEN = 256
"""Connections without the token at once; the oldest makes room for a new one. A rank needs milliseconds."""
PATIENCE = 5.0
"""Seconds for a connection to send the token, all of it."""
ACCEPTED = b"\n"
"""The driver's answer to the token."""


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
        self._partial = b""

    def send(self, event: Event) -> None:
        """Send one event."""
        with self._lock:
            if self._socket is None:
                return
            try:
                self._socket.sendall(dump(event).encode() + b"\n")
            except OSError:
                self._socket = None

    def heard(self) -> List[str]:
        """Return the driver's words since the last call, without waiting."""
        with self._lock:
            connection = self._socket
        if connection is None:
            return []
        ready = select.poll()
        ready.register(connection, select.POLLIN)
        while ready.poll(0):
            try:
                part = connection.recv(LONGEST_WORDS)
            except OSError:
                break
            self._partial += part
            if not part or len(self._partial) > LONGEST_WORDS:
                break
        *whole, self._partial = self._partial.split(b"\n")
        return [line.decode(errors="replace") for line in whole]

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


class Channel:
    """Driver's end; calls `sink` with each event, one at a time."""

    def __init__(self, host: str, sink: Callable[[Event], None]) -> None:
        self._sink, self._sinking = sink, threading.Lock()
        self._accepting = threading.Lock()
        self._receivers: List[threading.Thread] = []
        self._connections: List[socket.socket] = []
        listener = bound(host)
        listener.listen(UNPROVEN)
        self.address = Address(host, listener.getsockname()[1], secrets.token_hex(16))
        self._proof = self.address.token.encode() + b"\n"
        # No byte more than the token is read of a guest: what follows is read by lines.
        guests = Guests(
            listener, most=UNPROVEN, size=len(self._proof), patience=PATIENCE, judge=self._accepts
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=guests.serve, args=(self._stop,), name="channel", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; events of accepted connections still arrive."""
        self._stop.set()
        self._thread.join()

    @property
    def connected(self) -> bool:
        """True while anybody is connected: without that, silence tells nothing."""
        with self._accepting:
            return bool(self._connections)

    def tell(self, word: str) -> None:
        """Send a word to all who are connected; see `Sender.heard`."""
        with self._accepting:
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):
                # A few bytes, for which a buffer has room even where nobody reads.
                connection.sendall(word.encode() + b"\n")

    def renew(self) -> None:
        """Take a new token, and pass on nothing more from those who know the old one.

        A rank of an earlier attempt at training may live on behind a partition, and report when that heals.
        """
        with self._accepting, self._sinking:
            self.address = self.address._replace(token=secrets.token_hex(16))
            self._proof = self.address.token.encode() + b"\n"
            before, self._connections, self._receivers = self._connections, [], []
        for connection in before:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accepts(self, guest: Guest) -> bool:
        try:
            # In one step for `drain`: once it has started, the rank may send and end.
            with self._accepting:
                if not hmac.compare_digest(guest.said, self._proof):
                    return False
                work = (guest.connection, self._proof)
                receiver = threading.Thread(target=self._receive, args=work, daemon=True)
                receiver.start()
                self._receivers.append(receiver)
        except RuntimeError:  # no thread can be started now; the rank tries again
            return False
        return True

    def drain(self, seconds: float) -> bool:
        """Wait until all connections have ended and their events are passed on; return whether they have."""
        deadline = time.monotonic() + seconds
        with self._accepting:
            receivers = list(self._receivers)
        for receiver in receivers:
            receiver.join(max(0.0, deadline - time.monotonic()))
        return not any(receiver.is_alive() for receiver in receivers)

    def _receive(self, connection: socket.socket, proof: bytes) -> None:
        """Pass on the events of a connection that was accepted for a proof, until one of the two ends."""
        connection.setblocking(True)
        try:
            with connection, connection.makefile("rb") as lines:
                connection.sendall(ACCEPTED)
                with self._accepting:
                    if proof is not self._proof:
                        return
                    self._connections.append(connection)
                while True:
                    line = lines.readline(LONGEST)
                    if not line.endswith(b"\n"):
                        return
                    event = load(line.decode(errors="replace"))
                    if event is not None:
                        with self._sinking:
                            if proof is not self._proof:
                                return
                            self._sink(event)
        except OSError:
            pass  # the rank is gone
        finally:
            with self._accepting:
                self._connections = [one for one in self._connections if one is not connection]

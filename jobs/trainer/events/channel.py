"""Channel of events from executors to the driver: JSON lines over TCP, authenticated by a random token.

Spark reports a task to the driver only when it has ended, and training is one long task.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import socketserver
import threading
import time
from typing import Any, Callable, NamedTuple, Optional, Tuple, Type

from jobs.trainer.contract import Event, dump, load

CONNECT_TIMEOUT = 20
LONGEST = 1 << 20
"""Maximum bytes of a line, so that a stray client cannot fill the driver's memory."""
UNPROVEN = 256
"""Maximum number of connections, each a thread, that have not sent the token yet; others are closed."""
PATIENCE = 5
"""Seconds for a connection to send the token."""
PROOF = 200
"""Maximum bytes of the line with the token."""


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
    """Executor's end; thread-safe. A lost driver is ignored."""

    def __init__(self, address: Address) -> None:
        self._lock = threading.Lock()
        self._socket: Optional[socket.socket] = None
        try:
            self._socket = socket.create_connection((address.host, address.port), CONNECT_TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(address.token.encode() + b"\n")
        except OSError:
            self._socket = None

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


class Channel:
    """Driver's end; calls `sink` with each event, one at a time."""

    def __init__(self, host: str, sink: Callable[[Event], None]) -> None:
        token = secrets.token_hex(16)
        lock = threading.Lock()

        class Handler(socketserver.StreamRequestHandler):
            timeout = PATIENCE

            def handle(self) -> None:
                if not self._proven():
                    return
                self.connection.settimeout(None)
                while True:
                    line = self.rfile.readline(LONGEST)
                    if not line.endswith(b"\n"):
                        return
                    event = load(line.decode(errors="replace"))
                    if event is not None:
                        with lock:
                            sink(event)

            def _proven(self) -> bool:
                try:
                    return hmac.compare_digest(self._first_line(), token.encode())
                except OSError:
                    return False
                finally:
                    self.server.places.release()  # type: ignore[attr-defined]

            def _first_line(self) -> bytes:
                # A limit on all of it: a client that sends a byte now and then would keep its place.
                given, deadline = b"", time.monotonic() + PATIENCE
                while len(given) < PROOF and not given.endswith(b"\n"):
                    self.connection.settimeout(max(0.001, deadline - time.monotonic()))
                    byte = self.rfile.read(1)
                    if not byte:
                        break
                    given += byte
                return given.strip()

        self._server = _Server((host, 0), Handler)
        self.address = Address(host, self._server.server_address[1], token)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def __init__(self, address: Tuple[str, int], handler: Type[socketserver.BaseRequestHandler]) -> None:
        self.places = threading.BoundedSemaphore(UNPROVEN)
        super().__init__(address, handler)

    def verify_request(self, *_: object) -> bool:
        """Take a place among the unproven; False, and the connection is closed, if there is none."""
        return self.places.acquire(blocking=False)

    def process_request(self, *of: Any) -> None:  # noqa: ANN401 - the base class's own
        """Give the place back where no thread can start, which would do so."""
        try:
            super().process_request(*of)
        except BaseException:
            self.places.release()
            raise

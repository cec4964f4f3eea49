"""Side channel of a rank on which peers prove their connections; see `proof`.

Serves clients that it does not know: their number, their bytes and their time are bounded.
"""

from __future__ import annotations

import hmac
import selectors
import socket
import threading
import time
from typing import Callable, Dict

from jobs.trainer.ranks import sockets
from jobs.trainer.ranks.proof import CLAIM, NONCE, Claim, Endpoint, Prover, new_nonce

UNPROVEN = 64
"""Connections without a proof at once; the oldest makes room for a new one. A peer needs milliseconds."""
PROOF_S = 5.0
"""Seconds in which a connection has to prove itself."""
_RECEIPT = 32
_TICK = 0.05


class _Guest:
    """A connection that has proved nothing yet."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.challenge, self.said = connection, new_nonce(), b""
        self.deadline = time.monotonic() + PROOF_S


class Doorkeeper:
    """Listens on this rank's address, in a thread. `admit` returns whether a proven claim is valid."""

    def __init__(self, host: str) -> None:
        self._listener = socket.socket(sockets.family_of(host), socket.SOCK_STREAM)
        self._listener.bind((host, 0))
        sockets.admit(self._listener)
        self._listener.listen(UNPROVEN)
        self._listener.setblocking(False)
        self.endpoint: Endpoint = self._listener.getsockname()[:2]
        self._guests: Dict[socket.socket, _Guest] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="doorkeeper", daemon=True)

    def start(self, prover: Prover, hosts: "set[str]", admit: Callable[[Claim], bool]) -> None:
        """Serve the peers, which are on these addresses."""
        self._prover, self._admit = prover, admit
        sockets.admit(self._listener, hosts=hosts)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; drop whoever has proved nothing."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        for guest in list(self._guests.values()):
            guest.connection.close()
        self._listener.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
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

    def _accept(self, selector: selectors.BaseSelector) -> None:
        try:
            connection = self._listener.accept()[0]
        except OSError:
            return  # the client is gone already
        if len(self._guests) >= UNPROVEN:
            self._drop(selector, next(iter(self._guests.values())))
        guest = _Guest(connection)
        self._guests[connection] = guest
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
        try:
            connection.send(guest.challenge)
        except OSError:
            self._drop(selector, guest)

    def _hear(self, selector: selectors.BaseSelector, guest: _Guest) -> None:
        try:
            said = guest.connection.recv(CLAIM + 1 - len(guest.said))
        except BlockingIOError:
            return
        except OSError:
            said = b""
        guest.said += said
        if said and len(guest.said) < CLAIM:
            return
        try:
            if self._admit(self._prover.check(guest.said, guest.challenge)):
                guest.connection.send(self._prover.receipt(guest.said, guest.challenge))
        except (ValueError, OSError):
            pass
        self._drop(selector, guest)

    def _drop(self, selector: selectors.BaseSelector, guest: _Guest) -> None:
        selector.unregister(guest.connection)
        del self._guests[guest.connection]
        guest.connection.close()


def prove(door: Endpoint, host: str, prover: Prover, claim: Claim, timeout_s: float) -> None:
    """Prove a connection to the peer behind a door.

    Raises:
        OSError: the peer does not answer, or does not know the token.
    """
    with socket.create_connection(door, timeout_s, source_address=(host, 0)) as connection:
        challenge = _read(connection, NONCE)
        answer = prover.claim(claim, challenge, new_nonce())
        connection.sendall(answer)
        if not hmac.compare_digest(_read(connection, _RECEIPT), prover.receipt(answer, challenge)):
            raise OSError("rank {} does not prove itself".format(claim.to))


def _read(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise OSError("the connection was closed")
        found += part
    return found

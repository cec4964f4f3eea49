"""Side channel of a rank on which peers prove their connections; see `proof`.

Serves clients that it does not know: their number, their bytes and their time are bounded.
"""

from __future__ import annotations

import hmac
import socket
import threading
from typing import Callable, Optional

from jobs.trainer.guests import Guest, Guests, bound
from jobs.trainer.ranks import sockets
from jobs.trainer.ranks.proof import CLAIM, NONCE, Claim, Endpoint, Prover, new_nonce

UNPROVEN = 64
"""Connections without a proof at once; the oldest makes room for a new one. A peer needs milliseconds."""
PATIENCE = 5.0
"""Seconds in which a connection has to prove itself."""
_RECEIPT = 32


class Doorkeeper:
    """Listens on this rank's address, in a thread. `admit` returns whether a proven claim is valid."""

    def __init__(self, host: str) -> None:
        self._listener = bound(host)
        sockets.admit(self._listener)
        self._listener.listen(UNPROVEN)
        self.endpoint: Endpoint = self._listener.getsockname()[:2]
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def start(self, prover: Prover, hosts: "set[str]", admit: Callable[[Claim], bool]) -> None:
        """Serve the peers, which are on these addresses."""
        self._prover, self._admit = prover, admit
        sockets.admit(self._listener, hosts=hosts)
        guests = Guests(
            self._listener,
            most=UNPROVEN,
            size=CLAIM,
            patience=PATIENCE,
            greet=new_nonce,
            judge=self._answers,
        )
        self._thread = threading.Thread(
            target=guests.serve, args=(self._stop,), name="doorkeeper", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving; drop whoever has proved nothing."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._listener.close()

    def _answers(self, guest: Guest) -> bool:
        """Confirm a proof; the connection ends with it."""
        try:
            if self._admit(self._prover.check(guest.said, guest.greeting)):
                guest.connection.send(self._prover.receipt(guest.said, guest.greeting))
        except (ValueError, OSError):
            pass
        return False


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

"""Connections between the ranks of a job: one for each pair, proven by the job's token before it is used.

Every rank listens on its own address and dials the ranks before it. A connection is taken when both sides
have proven that they know the token; see `proof`. Strangers who connect are bounded in number, bytes and
time, and get nothing.
"""

from __future__ import annotations

import hmac
import json
import socket
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from jobs.trainer.guests import Guest, Guests, bound
from jobs.trainer.ranks.proof import CLAIM, NONCE, RECEIPT, Claim, Endpoint, Prover, new_nonce

UNPROVEN = 64
"""Connections without a proof at once; the oldest makes room for a new one. A peer needs milliseconds."""
PATIENCE = 5.0
"""Seconds in which a connection has to prove itself."""
BACKLOG = 1024
_RETRY_S = 0.1
ALIVE = {
    socket.TCP_KEEPIDLE: 3,
    socket.TCP_KEEPINTVL: 2,
    socket.TCP_KEEPCNT: 4,
    socket.TCP_USER_TIMEOUT: 11000,
}
"""Options by which the kernel gives up a host that has gone without a word after 11 s: probes after 3 s of
silence, every 2 s, 4 of them; and milliseconds for what was sent to be acknowledged. A rank that only
computes is not given up: its kernel answers."""

AllGather = Callable[[bytes], List[bytes]]


class Unproven(Exception):
    """A peer did not connect, or did not prove itself."""


def connect(
    rank: int, host: str, token: bytes, all_gather: AllGather, timeout_s: float
) -> List[Optional[socket.socket]]:
    """Connect this rank to all others; return a connection by rank, None for its own.

    `host` is this rank's IP address on the network of the peers. `all_gather` is called once.

    Raises:
        Unproven: a peer has not proven itself in time.
        ValueError: the token is none.
    """
    nonce = new_nonce()
    Prover(token, nonce)
    listener = bound(host)
    listener.listen(BACKLOG)
    try:
        card = {"rank": rank, "door": listener.getsockname()[:2], "nonce": nonce.hex()}
        cards: List[Dict[str, Any]] = [
            json.loads(one.decode()) for one in all_gather(json.dumps(card).encode())
        ]
        prover = Prover(token, "".join(one["nonce"] for one in cards).encode())
    except BaseException:
        listener.close()
        raise
    door = _Door(rank, len(cards), listener, prover)
    deadline = time.monotonic() + timeout_s
    dialler = _Dialler(rank, host, prover, deadline)
    connections: List[Optional[socket.socket]] = [None] * len(cards)
    try:
        for peer, one in enumerate(cards[:rank]):
            connections[peer] = dialler.dial(peer, (one["door"][0], one["door"][1]))
        for peer, connection in door.wait(deadline).items():
            connections[peer] = connection
    except BaseException:
        for each in connections:
            if each is not None:
                each.close()
        door.close()
        raise
    door.close(keep=True)
    for each in connections:
        if each is not None:
            watch(each)
    return connections


def watch(connection: socket.socket) -> None:
    """Have the kernel give the connection up when the other host no longer answers."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ALIVE.items():
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


class _Door:
    """Side of a rank on which the ranks after it connect, served by a thread."""

    def __init__(self, rank: int, size: int, listener: socket.socket, prover: Prover) -> None:
        self._rank, self._prover = rank, prover
        self._awaited = set(range(rank + 1, size))
        self._taken: Dict[int, socket.socket] = {}
        self._complete = False
        self._changed = threading.Condition()
        self._stop = threading.Event()
        guests = Guests(
            listener, most=UNPROVEN, size=CLAIM, patience=PATIENCE, greet=new_nonce, judge=self._takes
        )
        self._thread = threading.Thread(
            target=guests.serve, args=(self._stop,), name="connections of ranks", daemon=True
        )
        self._thread.start()

    def wait(self, deadline: float) -> Dict[int, socket.socket]:
        """Return the connections of all ranks after this one.

        Raises:
            Unproven: not all of them have come.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._awaited == set(self._taken), max(0.0, deadline - time.monotonic())
            ):
                missing = ", ".join(map(str, sorted(self._awaited - set(self._taken))))
                raise Unproven("no connection of rank {} was proven".format(missing))
            self._complete = True
            return dict(self._taken)

    def close(self, *, keep: bool = False) -> None:
        """Take nobody from now on; `keep` the connections that were taken."""
        self._stop.set()
        self._thread.join()
        for connection in [] if keep else self._taken.values():
            connection.close()

    def _takes(self, guest: Guest) -> bool:
        """Confirm a proof, and take the connection over."""
        try:
            claim = self._prover.check(guest.said, guest.greeting)
            if not self._expects(claim, guest.connection):
                return False
            with self._changed:
                if self._complete:
                    return False  # the connection that it would replace is in use
                guest.connection.send(self._prover.receipt(guest.said, guest.greeting))
                # A peer that has missed its confirmation dials again.
                missed, self._taken[claim.by] = self._taken.get(claim.by), guest.connection
                self._changed.notify_all()
        except (ValueError, OSError):
            return False
        if missed is not None:
            missed.close()
        return True

    def _expects(self, claim: Claim, connection: socket.socket) -> bool:
        """Return whether a claim is about this very connection, of a rank that connects here."""
        ends = (connection.getpeername()[:2], connection.getsockname()[:2])
        return claim.by in self._awaited and claim.to == self._rank and (claim.source, claim.target) == ends


class _Dialler(NamedTuple):
    """Side of a rank that connects to the ranks before it, from its own address."""

    rank: int
    host: str
    prover: Prover
    deadline: float

    def dial(self, peer: int, door: Endpoint) -> socket.socket:
        """Connect to a peer; try again until the deadline, since strangers may crowd its door.

        Raises:
            Unproven: it cannot be reached, or does not prove itself.
        """
        while True:
            try:
                left = max(0.01, min(PATIENCE, self.deadline - time.monotonic()))
                connection = socket.create_connection(door, left, source_address=(self.host, 0))
            except OSError as error:
                reason = str(error)
            else:
                try:
                    return prove(connection, self.rank, peer, self.prover)
                except OSError as error:
                    connection.close()
                    reason = str(error)
            if time.monotonic() > self.deadline:
                raise Unproven("rank {} at {}:{}: {}".format(peer, *door, reason))
            time.sleep(_RETRY_S)


def prove(connection: socket.socket, rank: int, peer: int, prover: Prover) -> socket.socket:
    """Prove this rank to the peer that a connection leads to, and that peer to this rank.

    The connection's timeout limits all of it.

    Raises:
        OSError: the peer does not answer, or does not know the token.
    """
    deadline = time.monotonic() + (connection.gettimeout() or PATIENCE)
    challenge = _read(connection, NONCE, deadline)
    claim = Claim(rank, peer, connection.getsockname()[:2], connection.getpeername()[:2])
    answer = prover.claim(claim, challenge, new_nonce())
    connection.sendall(answer)
    if not hmac.compare_digest(_read(connection, RECEIPT, deadline), prover.receipt(answer, challenge)):
        raise OSError("it does not prove itself")
    return connection


def _read(connection: socket.socket, size: int, deadline: float) -> bytes:
    found = b""
    while len(found) < size:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(size - len(found))
        if not part:
            raise OSError("the connection was closed")
        found += part
    return found

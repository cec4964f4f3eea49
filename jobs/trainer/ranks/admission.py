"""Admission of ranks to each other: gloo's connections, each proven before gloo accepts it.

gloo gives a rank's place to whoever connects first to a port. So its listening sockets get a filter
(`sockets`) before any peer knows of them: a connection waits in the kernel until the rank that made it has
proven the connection's two endpoints at this rank's door (`doorkeeper`). gloo sees no other connection.

Where the kernel takes no filter, gloo may accept a stranger's connection. `finish` finds it before anything
is averaged: the job ends, and the stranger takes no part in it.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from jobs.trainer.ranks import sockets
from jobs.trainer.ranks.doorkeeper import Doorkeeper, prove
from jobs.trainer.ranks.proof import Claim, Endpoint, Prover, new_nonce

BACKLOG = 1024
_SCAN_S = 0.02
"""A scan takes the kernel milliseconds on a machine that has many connections."""
_ANSWER_S = 2.0

AllGather = Callable[[bytes], List[bytes]]


class Intruded(Exception):
    """A stranger connected to a listening socket before its filter was in place."""


class Unproven(Exception):
    """Not every connection of this rank has been proven."""


class Admission:
    """Admission of the peers of one rank to one group, from the group's creation until it is connected.

    Pass `exchange` to the group as its all-gather, then call `finish`, and `close` in any case.
    """

    def __init__(self, rank: int, size: int, token: bytes, all_gather: AllGather) -> None:
        self._rank, self._size, self._token, self._all_gather = rank, size, token, all_gather
        self._met = False
        self._door: Optional[Doorkeeper] = None
        self._listening: Dict[Endpoint, socket.socket] = {}
        self._by_port: Dict[int, Set[int]] = {}
        """Ranks that dial each of this rank's ports."""
        self._admitted: Dict[Endpoint, Set[Endpoint]] = {}
        self._claimed: Set[int] = set()
        self._dialled: Dict[Endpoint, int] = {}
        """Where the peers listen for this rank."""
        self._proven: Set[Endpoint] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._prove_all, name="admission", daemon=True)

    def exchange(self, mine: bytes) -> List[bytes]:
        """All-gather; the first time also guards this rank's listening sockets and meets the peers.

        Raises:
            Intruded: the group has to be made anew.
        """
        if self._met:
            return self._all_gather(mine)
        listening = _addresses(mine)
        self._host = host = next(iter(listening.values()))[0]
        self._guard(set(listening.values()))
        self._door = door = Doorkeeper(host)
        nonce = new_nonce()
        card = {"door": door.endpoint, "nonce": nonce.hex(), "group": base64.b64encode(mine).decode()}
        cards: List[Dict[str, Any]] = [
            json.loads(text.decode()) for text in self._all_gather(json.dumps(card).encode())
        ]
        self._met = True
        groups = [base64.b64decode(one["group"]) for one in cards]
        self._doors: List[Endpoint] = [(one["door"][0], one["door"][1]) for one in cards]
        self._hosts = {each for each, _ in self._doors}
        self._prover = Prover(self._token, "".join(one["nonce"] for one in cards).encode())
        for peer, (_, port) in listening.items():
            self._by_port.setdefault(port, set()).add(peer)
        for peer, group in enumerate(groups):
            if peer != self._rank:
                self._dialled[_addresses(group)[self._rank]] = peer
        for endpoint, listener in self._listening.items():
            self._admitted[endpoint] = set()
            sockets.admit(listener, greeting=self._hosts)
        door.start(self._prover, self._hosts, self._admit)
        self._thread.start()
        return groups

    def finish(self, timeout_s: float) -> None:
        """Wait until every connection of this rank has been proven.

        Raises:
            Unproven: one has not.
        """
        deadline = time.monotonic() + timeout_s
        others = set(range(self._size)) - {self._rank}
        while True:
            proven = {self._dialled[endpoint] for endpoint in set(self._proven)}
            if proven | self._claimed == others:
                rows = sockets.table(self._host)
                if all(self._dialled[row.remote] in proven for row in rows if self._dials(row)):
                    break
            if time.monotonic() > deadline:
                lacking = ", ".join(map(str, sorted(others - proven - self._claimed))) or "some"
                raise Unproven("connections with ranks {} were not proven".format(lacking))
            self._stop.wait(_SCAN_S)
        for row in rows:
            # Of whatever state: a stranger may have left again. With a filter there is none.
            accepted = row.fd is not None and row.state != sockets.LISTEN and row.local in self._admitted
            if accepted and row.remote not in self._admitted[row.local]:
                raise Unproven("a connection from {}:{} was accepted without a proof".format(*row.remote))

    def close(self) -> None:
        """Admit nobody from now on."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._door is not None:
            self._door.close()
        for listener in self._listening.values():
            # A gloo that keeps its socket open needs no further connection.
            sockets.admit(listener)
            listener.close()
        self._listening.clear()

    def _guard(self, listening: Set[Endpoint]) -> None:
        for row in sockets.table(self._host):
            if row.fd is not None and row.state == sockets.LISTEN and row.local in listening:
                try:
                    listener = socket.socket(fileno=os.dup(row.fd))
                except OSError:
                    raise Intruded from None  # gloo closes a port as soon as it has taken a connection
                self._listening[row.local] = listener
                sockets.admit(listener)
        # Whoever came before the filter is in the table by now, or has taken a place already.
        taken = [
            row for row in sockets.table(self._host) if row.local in listening and row.state != sockets.LISTEN
        ]
        if taken or set(self._listening) != listening:
            raise Intruded
        for listener in self._listening.values():
            # gloo's own backlog may be one connection.
            listener.listen(BACKLOG)

    def _admit(self, claim: Claim) -> bool:
        """Let a proven connection in."""
        listener = self._listening.get(claim.target)
        if listener is None or claim.to != self._rank or claim.by not in self._by_port[claim.target[1]]:
            return False
        self._admitted[claim.target].add(claim.source)
        sockets.admit(listener, endpoints=self._admitted[claim.target], greeting=self._hosts)
        self._claimed.add(claim.by)
        return True

    def _dials(self, row: sockets.Connection) -> bool:
        """Return whether it is a connection of this rank to where a peer listens."""
        return (
            row.fd is not None
            and row.remote in self._dialled
            and row.state in (sockets.SYN_SENT, sockets.ESTABLISHED)
        )

    def _prove_all(self) -> None:
        """Prove this rank's connections as gloo makes them."""
        proven: Set[Tuple[Endpoint, Endpoint]] = set()
        while not self._stop.is_set():
            for row in sockets.table(self._host):
                if not self._dials(row) or (row.local, row.remote) in proven:
                    continue
                peer = self._dialled[row.remote]
                claim = Claim(self._rank, peer, row.local, row.remote)
                try:
                    prove(self._doors[peer], self._host, self._prover, claim, _ANSWER_S)
                except OSError:
                    continue  # again at the next scan; `finish` has the limit
                proven.add((row.local, row.remote))
                self._proven.add(row.remote)
            self._stop.wait(_SCAN_S)


def _addresses(group: bytes) -> Dict[int, Endpoint]:
    """Return where a rank listens for each peer; addresses of `caffe_allreduce` begin as a sockaddr."""
    found = {}
    for peer, text in enumerate(json.loads(group.decode())["addresses"]):
        raw = base64.b64decode(text)
        if raw:
            family, port = struct.unpack_from("=H", raw)[0], struct.unpack_from(">H", raw, 2)[0]
            at, length = (4, 4) if family == socket.AF_INET else (8, 16)
            found[peer] = (socket.inet_ntop(family, raw[at : at + length]), port)
    return found

"""Proof that a connection is a rank's: HMAC challenge–response with a token of the job.

The driver makes the token, and Spark hands it to the ranks with their task. It crosses no connection of the
ranks: the side that listens sends a nonce, the side that dials answers with its claim, a nonce of its own and
an HMAC-SHA256 over all of it, and gets an HMAC back. An answer that is replayed meets another nonce.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import struct
from typing import NamedTuple, Tuple

TOKEN = 32
NONCE = 16
_CLAIM = struct.Struct(">II16sH16sH")
RECEIPT = _MAC = 32
CLAIM = NONCE + _CLAIM.size + _MAC
"""Bytes of a token, of a nonce, of the confirmation, and of what the dialling side sends."""

Endpoint = Tuple[str, int]
"""IP address and port."""


class Claim(NamedTuple):
    """Rank `by` dialled rank `to`, from its endpoint `source` to the endpoint `target`."""

    by: int
    to: int
    source: Endpoint
    target: Endpoint


def new_token() -> bytes:
    """Return a token for a job."""
    return secrets.token_bytes(TOKEN)


def new_nonce() -> bytes:
    """Return a nonce."""
    return secrets.token_bytes(NONCE)


class Prover:
    """Makes and checks the proofs of one group of ranks.

    `generation` is the same on all ranks of a group and differs between groups, even of one job.
    """

    def __init__(self, token: bytes, generation: bytes) -> None:
        if len(token) != TOKEN:
            raise ValueError("a token has {} bytes, not {}".format(TOKEN, len(token)))
        self._token, self._generation = token, generation

    def claim(self, claim: Claim, challenge: bytes, nonce: bytes) -> bytes:
        """Return the answer to a challenge."""
        body = nonce + _packed(claim)
        return body + self._mac(b"claim", challenge, body)

    def check(self, answer: bytes, challenge: bytes) -> Claim:
        """Return the claim of an answer.

        Raises:
            ValueError: the answer proves nothing.
        """
        body, mac = answer[:-_MAC], answer[-_MAC:]
        if len(answer) != CLAIM or not hmac.compare_digest(mac, self._mac(b"claim", challenge, body)):
            raise ValueError("not a proof")
        by, to, source, source_port, target, target_port = _CLAIM.unpack(body[NONCE:])
        return Claim(by, to, (_text(source), source_port), (_text(target), target_port))

    def receipt(self, answer: bytes, challenge: bytes) -> bytes:
        """Return the listening side's confirmation of an answer, which proves that side in turn."""
        return self._mac(b"receipt", challenge, answer)

    def _mac(self, kind: bytes, challenge: bytes, body: bytes) -> bytes:
        text = b"caffe-spark %s " % kind + hashlib.sha256(self._generation).digest() + challenge + body
        return hmac.new(self._token, text, hashlib.sha256).digest()


def _packed(claim: Claim) -> bytes:
    (source, source_port), (target, target_port) = claim.source, claim.target
    return _CLAIM.pack(claim.by, claim.to, _bytes(source), source_port, _bytes(target), target_port)


def _bytes(host: str) -> bytes:
    """Return an address as 16 bytes; IPv4 is mapped into IPv6."""
    if ":" in host:
        return socket.inet_pton(socket.AF_INET6, host)
    return b"\0" * 10 + b"\xff\xff" + socket.inet_pton(socket.AF_INET, host)


def _text(address: bytes) -> str:
    if address.startswith(b"\0" * 10 + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, address[12:])
    return socket.inet_ntop(socket.AF_INET6, address)

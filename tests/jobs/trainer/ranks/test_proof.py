"""Proofs of connections."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress

import pytest

from jobs.trainer.ranks.proof import CLAIM, NONCE, Claim, Prover, new_nonce, new_token

TOKEN, GENERATION = bytes(range(32)), b"one"
CLAIM_OF_1 = Claim(1, 0, ("127.0.0.1", 4001), ("127.0.0.1", 4000))


def test_a_claim_that_was_changed_on_the_way_proves_nothing() -> None:
    prover = Prover(TOKEN, GENERATION)
    answer = bytearray(prover.claim(CLAIM_OF_1, bytes(NONCE), bytes(NONCE)))
    assert prover.check(bytes(answer), bytes(NONCE)) == CLAIM_OF_1
    for at in range(CLAIM):
        changed = bytearray(answer)
        changed[at] ^= 1
        with pytest.raises(ValueError, match="not a proof"):
            prover.check(bytes(changed), bytes(NONCE))


@pytest.mark.parametrize("cut", [slice(0, -1), slice(1, None), slice(0, 0)])
def test_a_claim_of_another_length_proves_nothing(cut: slice) -> None:
    prover = Prover(TOKEN, GENERATION)
    answer = prover.claim(CLAIM_OF_1, bytes(NONCE), bytes(NONCE))

    for given in (answer[cut], answer + b"\0"):
        with pytest.raises(ValueError, match="not a proof"):
            prover.check(given, bytes(NONCE))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (("10.9.8.12", 1), ("10.9.8.11", 65535)),
        (("fd00::12", 40000), ("fd00::11", 40001)),
        (("::", 1), ("::1", 2)),
        (("::fffe:1.2.3.4", 1), ("0.0.0.0", 2)),
    ],
)
def test_endpoints_of_both_families_arrive_as_they_are(
    source: tuple[str, int], target: tuple[str, int]
) -> None:
    prover, claim = Prover(TOKEN, GENERATION), Claim(7, 2**31, source, target)

    read = prover.check(prover.claim(claim, b"challenge", new_nonce()), b"challenge")

    assert read.by == 7
    assert read.to == 2**31
    assert (read.source[1], read.target[1]) == (source[1], target[1])
    assert [ipaddress.ip_address(host) for host, _ in (read.source, read.target)] == [
        ipaddress.ip_address(host) for host, _ in (source, target)
    ]


def test_a_proof_is_an_hmac_over_all_that_both_sides_have_said() -> None:
    """As ranks of another build compute it."""
    prover, nonce, challenge = Prover(TOKEN, GENERATION), bytes(range(16)), bytes(range(16, 32))

    answer = prover.claim(CLAIM_OF_1, challenge, nonce)

    mapped = bytes(10) + b"\xff\xff" + bytes([127, 0, 0, 1])
    body = nonce + bytes([0, 0, 0, 1, 0, 0, 0, 0]) + mapped + b"\x0f\xa1" + mapped + b"\x0f\xa0"
    group = hashlib.sha256(GENERATION).digest()
    mac = hmac.new(TOKEN, b"caffe-spark claim " + group + challenge + body, hashlib.sha256).digest()
    assert answer == body + mac
    assert len(answer) == CLAIM
    receipt = hmac.new(TOKEN, b"caffe-spark receipt " + group + challenge + answer, hashlib.sha256).digest()
    assert prover.receipt(answer, challenge) == receipt


def test_tokens_and_nonces_are_new_and_of_their_length() -> None:
    assert [len(made) for made in (new_token(), new_nonce())] == [32, 16]
    assert new_token() != new_token()
    assert new_nonce() != new_nonce()
    for length in (31, 33):
        with pytest.raises(ValueError, match=f"a token has 32 bytes, not {length}"):
            Prover(bytes(length), GENERATION)

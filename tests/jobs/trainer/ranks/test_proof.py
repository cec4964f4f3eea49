"""Proofs of connections."""

from __future__ import annotations

import pytest

from jobs.trainer.ranks.proof import CLAIM, NONCE, Claim, Prover

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

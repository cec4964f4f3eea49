"""Ranks: the values that they exchange and agree on."""

from __future__ import annotations

import pytest

from jobs.trainer.errors import TrainerError
from jobs.trainer.ranks.group import Exchange, Solo, digest, require_same


def test_bytes_travel_through_sparks_text_gathering() -> None:
    sent: list[str] = []

    def gather(mine: str) -> list[str]:
        sent.append(mine)
        return [mine, "AAEC"]

    assert Exchange(0, 2, gather).bytes(b"\xff\x00") == [b"\xff\x00", b"\x00\x01\x02"]


def test_a_rank_alone_asks_nobody() -> None:
    assert Exchange(0, 1, lambda _: pytest.fail("asked")).json(["w1", "\u00e9"]) == [["w1", "\u00e9"]]


def test_connected_ranks_do_not_ask_spark() -> None:
    exchange = Exchange(0, 2, lambda _: pytest.fail("Spark was asked"))
    exchange.through(lambda mine: [mine, b"theirs"])
    assert exchange.bytes(b"mine") == [b"mine", b"theirs"]


def test_ranks_that_differ_are_named_with_what_they_have() -> None:
    require_same("weights-differ", [["w1", "a"], ["w2", "a"]])
    with pytest.raises(TrainerError, match="w1 has aaaa, w2 has bbbb"):
        require_same("weights-differ", [["w1", "aaaa"], ["w2", "bbbb"]])


def test_the_digest_is_of_all_parts_in_order() -> None:
    assert digest([b"a", b"b"]) == digest([b"ab"]) != digest([b"b", b"a"])


def test_a_rank_alone_is_rank_zero_of_one() -> None:
    assert (Solo().rank, Solo().size, Solo().waited_s) == (0, 1, 0.0)

"""Ranks: the values that they exchange and agree on."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jobs.trainer.errors import TrainerError
from jobs.trainer.ranks import group
from jobs.trainer.ranks.connect import Unproven
from jobs.trainer.ranks.group import Exchange, PeerLost, Peers, Solo, digest, require_same, together


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


def test_a_long_value_is_named_by_its_start() -> None:
    start = "0123456789" * 4
    with pytest.raises(TrainerError, match=f"w1 has {start}, w2 has {start};"):
        require_same("weights-differ", [["w1", start + "a"], ["w2", start + "b"]])


def test_the_digest_is_of_all_parts_in_order() -> None:
    assert digest([b"a", b"b"]) == digest([b"ab"]) != digest([b"b", b"a"])


def test_a_rank_alone_is_rank_zero_of_one() -> None:
    assert (Solo().rank, Solo().size, Solo().waited_s) == (0, 1, 0.0)


def test_a_lost_barrier_is_told_by_its_first_line() -> None:
    def gather(_: str) -> list[str]:
        raise RuntimeError("\nCould not recover\n\tat org.apache.spark")

    with pytest.raises(PeerLost) as lost:
        Exchange(0, 2, gather).bytes(b"x")
    assert lost.value.fields == {"reason": "Could not recover"}


class AllReduce:
    """The module `caffe_allreduce`; what its group is told."""

    class PeerLost(Exception):
        pass

    def __init__(self) -> None:
        self.told: list[Any] = []

    def Group(self, rank: int, connections: Any, timeout_s: float) -> Any:
        self.told.append((rank, connections, timeout_s))
        return SimpleNamespace(
            waited_s=1.5,
            attach=lambda *words: self.told.append(("attach", *words)),
            broadcast_weights=lambda solver: self.told.append(("broadcast", solver)),
            all_gather=lambda mine: (mine, b"theirs"),
            allreduce_mean=lambda values: [sum(values)],
            close=lambda: self.told.append("closed"),
        )


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> AllReduce:
    made = AllReduce()
    monkeypatch.setitem(sys.modules, "caffe_allreduce", made)
    return made


def peers() -> Peers:
    return Peers("10.9.8.12", Exchange(1, 3, lambda _: []), bytes(32), 30.0)


def test_a_group_hands_on_what_it_is_asked_for(module: AllReduce, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        group, "connect", lambda rank, address, *_: [f"{rank} to 0 from {address}", None, "1 to 2"]
    )
    made = peers()

    made.broadcast_weights("solver")
    made.attach("solver", "float16")

    assert (made.rank, made.size, made.waited_s) == (1, 3, 1.5)
    assert made.allreduce_mean(np.arange(4.0)).tolist() == [6.0]
    assert made.all_gather(b"mine") == [b"mine", b"theirs"]
    made.close()
    assert module.told == [
        (1, ["1 to 0 from 10.9.8.12", None, "1 to 2"], 30.0),
        ("broadcast", "solver"),
        ("attach", "solver", "float16"),
        "closed",
    ]


def test_a_connection_without_a_proof_is_told_as_a_lost_rank(
    module: AllReduce, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise Unproven("no connection of rank 2 was proven")

    monkeypatch.setattr(group, "connect", refused)

    with pytest.raises(PeerLost) as lost:
        peers()
    # `blame` reads the end of it.
    words = "rank 1: no connection of rank 2 was proven while connecting to the other ranks: nothing for 30 s"
    assert lost.value.fields == {"reason": words}


def test_a_lost_rank_is_told_by_its_first_line(module: AllReduce) -> None:
    def action() -> None:
        raise AllReduce.PeerLost("timed out\nat native.cpp:7")

    with pytest.raises(PeerLost) as lost:
        together(action)
    assert lost.value.fields == {"reason": "timed out"}

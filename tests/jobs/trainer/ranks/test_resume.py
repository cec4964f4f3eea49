"""State of the feed beside a snapshot."""

from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.ranks.resume import FeedState, beside, sum_of

STATE = FeedState(7, 2**32 - 1, "sum")


def test_what_is_written_is_read() -> None:
    assert FeedState.load(STATE.dump(), "x", "sum") == STATE
    with pytest.raises(FrozenInstanceError):
        STATE.seed = 0  # type: ignore[misc]


@pytest.mark.parametrize("number", [0, 2**63 - 1])
def test_positions_and_seeds_are_of_63_bits(number: int) -> None:
    state = FeedState(number, number, "sum")

    assert FeedState.load(state.dump(), "x", "sum") == state
    for larger in (FeedState(2**63, 0, "sum"), FeedState(0, 2**63, "sum")):
        with pytest.raises(Refused, match="it is not the state of a feed"):
            FeedState.load(larger.dump(), "x", "sum")


def test_a_solvers_state_is_known_by_the_sum_of_all_of_it(tmp_path: Path) -> None:
    state = tmp_path / "s.solverstate"
    for content in (b"", b"x", bytes(3 << 20) + b"x"):
        state.write_bytes(content)

        assert sum_of(state) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "[]",
            "{}",
            "[" * 100_000,
            '{"position": 1}',
            '{"position": -1, "seed": 1, "solver": "sum"}',
            '{"position": 1.5, "seed": 1, "solver": "sum"}',
        ),
        *(
            '{"position": true, "seed": 1, "solver": "sum"}',
            '{"position": 1, "seed": "1", "solver": "sum"}',
            '{"position": 1e400, "seed": 1, "solver": "sum"}',
        ),
    ],
)
def test_other_texts_are_refused_by_the_files_name(text: str) -> None:
    with pytest.raises(Refused, match=r"s_iter_5\.feed\.json: it is not the state of a feed"):
        FeedState.load(text, "s_iter_5.feed.json", "sum")


def test_the_state_of_another_snapshot_is_refused() -> None:
    with pytest.raises(Refused, match="belongs to another snapshot"):
        FeedState.load(STATE.dump(), "x", "another")


@pytest.mark.parametrize(
    ("state", "feed"),
    [
        ("hdfs:///m/s_iter_5.solverstate", "hdfs:///m/s_iter_5.feed.json"),
        ("s_iter_5.solverstate.h5", "s_iter_5.feed.json"),
        ("renamed", "renamed.feed.json"),
    ],
)
def test_it_lies_beside_the_solvers_state(state: str, feed: str) -> None:
    assert beside(state) == feed

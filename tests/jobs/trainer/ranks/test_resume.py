"""State of the feed beside a snapshot."""

from __future__ import annotations

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.ranks.resume import FeedState, beside

STATE = FeedState(7, 2**32 - 1, "sum")


def test_what_is_written_is_read() -> None:
    assert FeedState.load(STATE.dump(), "x", "sum") == STATE


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

"""State of the feed beside a snapshot."""

from __future__ import annotations

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.ranks.resume import FeedState, beside


def test_what_is_written_is_read() -> None:
    assert FeedState.load(FeedState(7, 2**32 - 1).dump(), "x") == FeedState(7, 2**32 - 1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"position": 1}', '{"position": -1, "seed": 1}', '{"position": 1.5, "seed": 1}'),
        *('{"position": true, "seed": 1}', '{"position": 1, "seed": "1"}', '{"position": 1e400, "seed": 1}'),
    ],
)
def test_other_texts_are_refused_by_the_files_name(text: str) -> None:
    with pytest.raises(Refused, match=r"s_iter_5\.feed\.json: it is not the state of a feed"):
        FeedState.load(text, "s_iter_5.feed.json")


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

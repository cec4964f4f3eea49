"""Wishes of a rank: for a snapshot, and to leave."""

from __future__ import annotations

import pytest

from jobs.trainer.contract import Event, Interruption
from jobs.trainer.ranks.agreement import NOTHING, Wish
from jobs.trainer.ranks.notice import Notice
from jobs.trainer.ranks.wishes import LEAVE, REGROUP, Wishes


class Rank:
    def __init__(self, rank: int = 0, *, clocked: bool = True) -> None:
        self.told, self.words = list[Event](), list[str]()
        self.timely, self.notice = False, None
        self.wishes = Wishes(
            rank,
            "w1",
            self.told.append,
            self._heard,
            lambda: self.timely,
            clocked=clocked,
            noticed=lambda: self.notice,
        )

    timely: bool
    notice: Notice | None

    def _heard(self) -> list[str]:
        said, self.words = self.words, []
        return said


def test_a_rank_without_a_reason_wants_nothing() -> None:
    assert Rank().wishes() == NOTHING


def test_the_clock_is_rank_0s() -> None:
    first, second = Rank(0), Rank(1)
    first.timely = second.timely = True

    assert first.wishes() == Wish(snapshot=True)
    assert second.wishes() == NOTHING


def test_a_notice_is_told_once_and_the_rank_leaves() -> None:
    rank = Rank(1)
    rank.notice = Notice("reclaimed", 12.0)

    assert [rank.wishes(), rank.wishes()] == [Wish(leave=True)] * 2
    assert rank.told == [Interruption("w1", "reclaimed", 12.0)]


def test_a_rank_leaves_when_the_driver_says_so_and_goes_on_wanting_it() -> None:
    rank = Rank()
    rank.words = ["", LEAVE]

    assert [rank.wishes().leave, rank.wishes().leave] == [True, True]
    assert rank.told == []


def test_ranks_regroup_with_the_next_snapshot_of_the_clock() -> None:
    rank = Rank()
    rank.words = [REGROUP]

    assert rank.wishes() == NOTHING
    rank.timely = True
    assert rank.wishes() == Wish(snapshot=True, leave=True)


@pytest.mark.parametrize("rank", [0, 1])
def test_ranks_without_a_clock_regroup_at_once(rank: int) -> None:
    made = Rank(rank, clocked=False)
    made.words = [REGROUP]

    assert made.wishes() == Wish(leave=True)

"""Ranks that no other rank waits for, or that all wait for: when they count as hung. Pure."""

from __future__ import annotations

import pytest

from jobs.trainer.contract import (
    BEGINNING,
    BUILDING,
    CONNECTING,
    LOADING,
    STORING,
    VALIDATING,
    Display,
    Note,
    Progress,
    RankStarted,
    RankStep,
    Validation,
)
from jobs.trainer.events.silence import FIRST, Hung, Silence

TIMEOUT = 120.0


@pytest.fixture
def ranks() -> Silence:
    """Two ranks that have started."""
    found = Silence()
    for rank in range(2):
        found.see(RankStarted(rank, f"w{rank + 1}"))
    return found


@pytest.fixture
def rank() -> Silence:
    """A rank without peers that is about to train."""
    found = Silence()
    found.see(RankStarted(0, "w1"))
    for step in (LOADING, CONNECTING, BEGINNING):
        found.see(RankStep(0, step))
    return found


def wait(ranks: Silence, seconds: float, *, alone: bool = False) -> Hung | None:
    return ranks.tick(seconds, TIMEOUT, alone=alone)


def test_a_rank_that_others_wait_for_before_they_are_connected_hangs_after_the_timeout(
    ranks: Silence,
) -> None:
    ranks.see(RankStep(1, LOADING))
    ranks.see(RankStep(0, LOADING))
    ranks.see(RankStep(0, CONNECTING))
    assert wait(ranks, 120) is None
    assert wait(ranks, 1) == Hung(1, LOADING, 121)
    assert ranks.hung == Hung(1, LOADING, 121)


def test_one_that_hangs_as_it_starts_is_known_by_the_ranks_that_do_not(ranks: Silence) -> None:
    ranks.see(RankStep(1, CONNECTING))
    assert wait(ranks, 121) == Hung(0, BUILDING, 121)


def test_each_step_has_the_timeout(ranks: Silence) -> None:
    ranks.see(RankStep(0, CONNECTING))
    assert wait(ranks, 100) is None
    ranks.see(RankStep(1, LOADING))
    assert wait(ranks, 100) is None
    ranks.see(RankStep(1, CONNECTING))
    assert wait(ranks, 1000) is None, "their connections have limits of their own"


def test_ranks_that_all_take_long_are_waited_for(ranks: Silence) -> None:
    for number in range(2):
        ranks.see(RankStep(number, LOADING))
    assert wait(ranks, 1000) is None


def test_a_rank_whose_events_are_lost_is_none_that_hangs_once_another_has_connected(ranks: Silence) -> None:
    ranks.see(RankStep(0, CONNECTING))
    ranks.see(RankStep(0, BEGINNING))
    assert wait(ranks, 1000) is None


def test_connected_ranks_are_left_to_each_other(ranks: Silence) -> None:
    for number in range(2):
        for step in (LOADING, CONNECTING, BEGINNING):
            ranks.see(RankStep(number, step))
    ranks.see(Progress(1, 9))
    assert wait(ranks, 1e6) is None


def test_a_rank_alone_hangs_after_the_timeout_and_its_longest_step(rank: Silence) -> None:
    rank.see(Progress(0, 9))
    wait(rank, 50, alone=True)
    rank.see(Display(1, 9))
    wait(rank, 1, alone=True)
    rank.see(Progress(2, 9))
    assert wait(rank, 170, alone=True) is None
    assert wait(rank, 1, alone=True) == Hung(0, "training", 171)


def test_the_first_iteration_of_a_rank_alone_tells_how_long_one_takes(rank: Silence) -> None:
    assert wait(rank, FIRST * TIMEOUT, alone=True) is None
    rank.see(Progress(0, 9))
    assert wait(rank, 700, alone=True) is None
    assert wait(rank, 21, alone=True) == Hung(0, "training", 721)


def test_a_first_iteration_that_never_ends_is_noticed(rank: Silence) -> None:
    assert wait(rank, FIRST * TIMEOUT + 1, alone=True) == Hung(0, "training", 601)


def test_signs_of_life_in_a_validation_count(rank: Silence) -> None:
    rank.see(Progress(0, 9))
    for _ in range(10):
        rank.see(RankStep(0, VALIDATING))
        assert wait(rank, 100, alone=True) is None
    rank.see(Validation(1))
    rank.see(RankStep(0, VALIDATING))
    found = wait(rank, 221, alone=True)
    assert found == Hung(0, VALIDATING, 221)


def test_what_a_rank_stores_has_limits_of_its_own(rank: Silence) -> None:
    rank.see(Progress(9, 9))
    rank.see(RankStep(0, STORING))
    assert wait(rank, 1e6, alone=True) is None


def test_a_rank_that_has_not_begun_is_no_rank(rank: Silence) -> None:
    assert wait(Silence(), 1e6, alone=True) is None
    assert wait(Silence(), 1e6) is None


def test_events_that_are_not_a_ranks_are_no_sign_of_life(rank: Silence) -> None:
    rank.see(Progress(0, 9))
    for _ in range(2):
        found = wait(rank, 100, alone=True)
        rank.see(Note("of the driver"))
    assert found == Hung(0, "training", 200)

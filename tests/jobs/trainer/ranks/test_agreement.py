"""Agreement of ranks on snapshots and on leaving."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobs.trainer.ranks.agreement import MOST, NOTHING, Agreement, Wish


class Clock:
    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        return self.now


def asked(step: float, iterations: int, *, others: Any = (0.0, 0.0)) -> list[int]:
    """Return the iterations after which a rank with steps of some seconds asks the others."""
    clock, found = Clock(step), list[int]()

    def mean(values: np.ndarray) -> np.ndarray:
        found.append(done)
        return np.asarray([*np.maximum(values[:2], others), values[2]])

    done = 0
    agreement = Agreement(0, mean, Wish, clock)
    for done in range(1, iterations + 1):
        clock.now += step
        agreement.after(done)
    return found


def test_ranks_ask_each_other_about_once_a_second() -> None:
    assert asked(0.1, 25) == [1, 11, 21]


def test_steps_longer_than_a_second_ask_each_time() -> None:
    assert asked(3.0, 4) == [1, 2, 3, 4]


def test_a_clock_that_stands_still_asks_now_and_then() -> None:
    assert asked(0.0, MOST + 5) == [1, MOST + 1]


@pytest.mark.parametrize(
    ("mean", "agreed"),
    [([0.5, 0, 1], Wish(True, False)), ([0, 0.25, 1], Wish(False, True)), ([0, 0, 1], NOTHING)],
)
def test_the_wish_of_one_rank_is_enough(mean: list[float], agreed: Wish) -> None:
    assert Agreement(4, lambda _: np.asarray(mean), Wish).after(5) == agreed


def test_the_next_question_comes_at_the_same_iteration_on_each_rank() -> None:
    slow, fast = Clock(0.0), Clock(0.0)
    agreements = [Agreement(0, lambda _: np.asarray([0, 0, 0.25]), Wish, clock) for clock in (slow, fast)]
    slow.now, fast.now = 0.4, 0.1

    for agreement in agreements:
        agreement.after(1)

    assert [agreement._next for agreement in agreements] == [5, 5]

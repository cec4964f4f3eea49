"""Learning rates, against Caffe's formulas worked by hand."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import pytest

from jobs.trainer.caffe.schedule import POLICIES, Rate

CASES = [
    (Rate(0.1, "fixed"), 10, 0.1),
    (Rate(0.1, "step", gamma=0.5, stepsize=10), 9, 0.1),
    (Rate(0.1, "step", gamma=0.5, stepsize=10), 20, 0.025),
    (Rate(0.1, "exp", gamma=0.9), 2, 0.081),
    (Rate(0.01, "inv", gamma=0.0001, power=0.75), 100, 0.00992565),
    (Rate(0.1, "multistep", gamma=0.1, stepvalues=(5, 8)), 4, 0.1),
    (Rate(0.1, "multistep", gamma=0.1, stepvalues=(5, 8)), 5, 0.01),
    (Rate(0.1, "multistep", gamma=0.1, stepvalues=(5, 8)), 9, 0.001),
    (Rate(0.1, "poly", power=2, max_iter=10), 5, 0.025),
    (Rate(0.1, "sigmoid", gamma=-1, stepsize=5), 5, 0.05),
]


@pytest.mark.parametrize(("rate", "iteration", "expected"), CASES)
def test_the_rate_is_caffes(rate: Rate, iteration: int, expected: float) -> None:
    assert rate.at(iteration) == pytest.approx(expected, rel=1e-5)


def test_a_rate_without_a_policy_is_fixed() -> None:
    assert Rate(0.1) == Rate(0.1, "fixed", 0.0, 0.0, 1, (), 1)
    assert Rate(0.1).at(7) == pytest.approx(0.1)
    with pytest.raises(FrozenInstanceError):
        Rate(0.1).base = 1  # type: ignore[misc]


def test_every_policy_is_worked_out() -> None:
    assert {rate.policy for rate, _, _ in CASES} == set(POLICIES)


@pytest.mark.parametrize(
    ("rate", "iteration", "expected"),
    [
        (Rate(0.1, "sigmoid", gamma=-0.01, stepsize=5000), 76000, 0.0),
        (Rate(0.1, "sigmoid", gamma=0.01, stepsize=500_000), 0, 0.0),
        (Rate(0.1, "sigmoid", gamma=0.01, stepsize=5000), 500_000, 0.1),
        (Rate(0.1, "exp", gamma=1.5), 10_000, math.inf),
        (Rate(0.1, "step", gamma=2.0, stepsize=1), 5000, math.inf),
        (Rate(0.1, "inv", gamma=-0.01, power=0.75), 100, math.inf),
        (Rate(0.1, "poly", power=2.0, max_iter=10), 10, 0.0),
    ],
)
def test_far_from_its_step_a_rate_is_what_c_computes(rate: Rate, iteration: int, expected: float) -> None:
    assert rate.at(iteration) == pytest.approx(expected, abs=1e-12)


def test_a_rate_that_is_no_number_is_no_error() -> None:
    assert math.isnan(Rate(0.1, "inv", gamma=-0.01, power=0.75).at(200))

"""Learning rates, against Caffe's formulas worked by hand."""

from __future__ import annotations

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


def test_every_policy_is_worked_out() -> None:
    assert {rate.policy for rate, _, _ in CASES} == set(POLICIES)

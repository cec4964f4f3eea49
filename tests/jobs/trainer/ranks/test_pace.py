"""Speed of training and time left."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from jobs.trainer.ranks import pace
from jobs.trainer.ranks.pace import Figures, Pace


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass, from the machine's start on."""
    clock = SimpleNamespace(now=0.5)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(pace, "time", clock)

    def wait(seconds: float) -> None:
        clock.now += seconds

    return wait


def test_speed_and_time_left_are_of_the_iterations_since_the_start(passes: Callable[[float], None]) -> None:
    run = Pace(100, 300, images=64)

    passes(8)

    assert run.at(150) == Figures(50 * 64 / 8, 8, 8 * 150 / 50)
    passes(8)
    assert run.at(300) == Figures(200 * 64 / 16, 16, 0)


def test_seconds_of_validation_are_told_apart(passes: Callable[[float], None]) -> None:
    run = Pace(100, 300, images=64, validating=lambda: 3.0)
    passes(8)
    assert run.at(150) == Figures(50 * 64 / 8, 8, 8 * 150 / 50, 3.0)


def test_the_first_iteration_says_nothing_about_the_time_left(passes: Callable[[float], None]) -> None:
    assert Pace(100, 300, images=64).at(100) == Figures(0, 1e-6, None)


def test_a_clock_that_stands_still_divides_by_no_zero(passes: Callable[[float], None]) -> None:
    assert Pace(0, 2, images=3).at(1).images_per_s == pytest.approx(3e6)


def test_progress_is_due_at_once_and_then_every_half_second(passes: Callable[[float], None]) -> None:
    run = Pace(0, 9, images=1)
    assert run.due()

    run.at(1)
    assert not run.due()
    passes(0.25)
    assert not run.due()
    passes(0.25)
    assert run.due()

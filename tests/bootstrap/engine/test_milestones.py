from __future__ import annotations

import threading

from bootstrap.engine.milestones import Milestones

A, B = ("r", "a"), ("r", "b")


def test_a_step_that_the_head_had_done_before_is_settled() -> None:
    milestones = Milestones()
    milestones.begin([A])
    assert milestones.is_settled(A)
    assert not milestones.is_settled(B)
    assert milestones.wait(A)


def test_a_step_done_in_this_run_is_done_and_not_settled() -> None:
    milestones = Milestones()
    milestones.begin([])
    milestones.reach(A)
    assert milestones.wait(A)
    assert not milestones.is_settled(A)


def test_waiting_ends_when_the_head_does() -> None:
    milestones = Milestones()
    milestones.begin([])
    threading.Timer(0.05, milestones.end).start()
    assert not milestones.wait(A)


def test_a_head_without_facts_unsettles_nothing() -> None:
    milestones = Milestones()
    threading.Timer(0.05, milestones.end).start()
    assert milestones.is_settled(A)
    assert not milestones.is_done(A)

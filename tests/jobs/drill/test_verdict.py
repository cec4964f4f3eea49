"""Verdicts on recorded drills."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.drill import record as marks
from jobs.drill.record import Plan, Record
from jobs.drill.verdict import Check, Verdict, redone, verdict
from jobs.trainer import contract
from tests.jobs.drill.recording import (
    BEGAN,
    at,
    by_notice,
    in_order,
    mark,
    progress,
    snapshot,
    without_notice,
)

NOTICE, KILLED, CUT = Plan(notice_s=30.0), Plan("no-notice"), Plan("partition")


def judged(
    plan: Plan, record: Record, *, accuracy: float | None = 0.99, baseline: float | None = 0.99
) -> Verdict:
    return verdict(plan, record, accuracy=accuracy, baseline=baseline)


def broken(found: Verdict) -> list[str]:
    return [check.name for check in found.checks if check.held is False]


def without(record: Record, *kinds: type[contract.Event]) -> Record:
    return Record([event for event in record.events if not isinstance(event, kinds)], record.marks)


def test_a_notice_is_followed_from_the_cloud_to_the_snapshot_and_to_full_strength() -> None:
    found = judged(NOTICE, by_notice())
    assert (found.heard_s, found.snapshot_s) == (2.5, 4.5)
    assert (found.lost_iterations, found.recoveries) == (0, 2)
    assert found.again_s == 4.5, "from the stop at 35 s to the first report beyond iteration 660"
    assert found.full_s == 78.5
    assert found.passed


def test_the_snapshot_of_a_notice_is_the_one_that_training_goes_on_from() -> None:
    record = by_notice()
    first = next(e for e in record.events if isinstance(e, contract.Snapshot) and e.time > BEGAN + 32.5)
    assert first.iteration == 600, "an earlier one arrives just after the notice"
    assert judged(NOTICE, record).snapshot_s == 4.5


def test_a_snapshot_that_came_after_the_node_was_taken_fails() -> None:
    record = by_notice()
    late = [replace(one, time=BEGAN + 34) if one.kind == marks.TAKEN else one for one in record.marks]
    found = judged(NOTICE, Record(record.events, late))
    assert broken(found) == ["a snapshot before the node was taken"]
    assert Check("a snapshot before the node was taken", False, "0.5 s after") in found.checks


def test_a_notice_that_training_did_not_hear_fails() -> None:
    found = judged(NOTICE, without(by_notice(), contract.Interruption))
    assert (found.heard_s, found.snapshot_s) == (None, None)
    assert broken(found) == ["a snapshot before the node was taken"]


def test_iterations_lost_in_spite_of_a_notice_fail() -> None:
    record = by_notice()
    events = [
        at(38, contract.Recovery(2, 600, 1, 2, 60, 3.0))
        if e == contract.Recovery(2, 660, 1, 2, 0, 3.0, "iter_size 2", ["w1"])
        else e
        for e in record.events
    ]
    found = judged(NOTICE, Record(events, record.marks))
    assert found.lost_iterations == 60
    assert "no iteration lost" in broken(found)


def test_without_a_notice_time_counts_from_the_loss_of_the_node() -> None:
    found = judged(KILLED, without_notice())
    assert (found.heard_s, found.snapshot_s) == (None, None)
    assert found.lost_iterations == 50
    assert (found.again_s, found.full_s) == (28.5, 28.5)
    assert found.passed


def test_reports_of_progress_count_where_the_trainer_counts_less() -> None:
    assert judged(KILLED, without_notice(lost=3)).lost_iterations == 50


def test_training_that_goes_back_further_than_the_newest_snapshot_fails() -> None:
    found = judged(KILLED, without_notice(resumed=200, lost=450))
    assert found.lost_iterations == 450
    assert broken(found) == ["from the newest snapshot"]


def test_a_partition_counts_from_its_cut() -> None:
    record = without_notice()
    assert judged(CUT, Record(record.events, [mark(33, marks.CUT), mark(90, marks.HEALED)])).again_s == 28.5


def test_a_second_loss_before_the_first_recovery_has_come_to_work_is_part_of_the_same_outage() -> None:
    events = in_order(
        progress(0, 32.5, 0),
        snapshot(31, 600),
        at(45, contract.WorkersLost(650, ["w2"])),
        at(50, contract.Recovery(2, 600, 2, 3, 50)),
        at(55, contract.WorkersLost(600, ["w3"])),
        at(70, contract.Recovery(3, 600, 1, 3, 0)),
        progress(71, 90, 600),
        at(95, contract.Done()),
    )
    found = judged(KILLED, Record(events, [mark(33, marks.TAKEN)]))
    assert (found.again_s, found.full_s, found.lost_iterations) == (38.5, None, 50)
    assert found.passed


def test_full_strength_that_the_job_did_not_live_to_see_is_no_figure() -> None:
    record = by_notice()
    early = [event for event in record.events if event.time < BEGAN + 105 or isinstance(event, contract.Done)]
    found = judged(NOTICE, Record(early, record.marks))
    assert found.full_s is None
    assert found.passed


def test_a_job_that_stands_still_after_the_loss_fails() -> None:
    record = without_notice()
    stuck = [event for event in record.events if event.time < BEGAN + 50]
    failed = at(99, contract.Failed("no-executors", {}, 1, "none came back"))
    found = judged(KILLED, Record([*stuck, failed], record.marks), accuracy=None)
    assert broken(found) == ["the job finished", "training went on"]
    assert found.checks[0].found == "no: none came back"
    assert (found.again_s, found.lost_iterations) == (None, None)


def test_a_node_that_training_does_not_miss_proves_nothing() -> None:
    record = without(without_notice(), contract.WorkersLost, contract.Recovery)
    found = judged(KILLED, record)
    assert broken(found) == ["training went on"]
    assert found.checks[1].found == "it lost no executor: give the job more iterations"
    assert (found.again_s, found.full_s, found.lost_iterations) == (None, None, None)


def test_a_node_that_is_lost_while_the_job_scores_is_no_loss_of_training() -> None:
    events = in_order(
        progress(0, 32.5, 0),
        snapshot(31, 600),
        at(33, contract.Trained(650)),
        at(45, contract.WorkersLost(650, ["w2"])),
        at(100, contract.Done(100)),
    )
    found = judged(KILLED, Record(events, [mark(34, marks.TAKEN)]))
    assert broken(found) == ["training went on"]
    assert found.again_s is None


def test_a_job_that_ended_before_its_interruption_proves_nothing() -> None:
    found = judged(NOTICE, Record(by_notice().events, []))
    assert not found.passed
    assert broken(found) == ["nodes"]


@pytest.mark.parametrize(
    ("accuracy", "held"), [(0.99, True), (0.987, True), (0.9869, False), (0.995, True), (None, None)]
)
def test_accuracy_may_fall_by_three_tenths_of_a_point(accuracy: float | None, held: bool | None) -> None:
    found = judged(NOTICE, by_notice(), accuracy=accuracy)
    assert found.checks[-1].held is held
    assert found.passed == (held is not False)


def test_events_before_the_interruption_do_not_count() -> None:
    events = in_order(
        progress(0, 10, 0),
        snapshot(5, 100),
        at(11, contract.Recovery(2, 100, 2, 2, 100)),
        progress(12, 20, 100),
        snapshot(19, 240),
        at(30, contract.Recovery(3, 240, 2, 2, 20)),
    )
    since = next(n for n, event in enumerate(events) if event.time >= BEGAN + 25)
    assert redone(events, since) == (20, True)

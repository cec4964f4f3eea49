"""Timelines of recorded drills: moments, throughput, timeline.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.drill import timeline
from jobs.drill.record import Mark, Plan, Record
from jobs.drill.timeline import Facts, Rate
from jobs.drill.verdict import verdict
from jobs.trainer import contract
from tests.jobs.drill.recording import BATCH, BEGAN, at, by_notice, in_order, progress, without_notice

FACTS = Facts("dev", "drill-1", Plan(notice_s=30.0), ("w2",), 2, "shrink", "drill-undisturbed-1")


def between(rates: list[Rate], start: float, end: float) -> list[float]:
    return [rate.images_per_s for rate in rates if start < rate.time - BEGAN <= end]


def test_moments_are_in_order_and_tell_the_drill() -> None:
    found = timeline.moments(by_notice())
    assert [moment.time for moment in found] == sorted(moment.time for moment in found)
    told = [moment.kind for moment in found if moment.time >= BEGAN + 30]
    assert told == [
        *("announced", "read", "leaving", "interruption", "snapshot", "snapshot", "workers-lost", "recovery"),
        *("left", "completed", "taken", "replacing", "replaced", "snapshot", "recovery", "trained", "done"),
    ]


def test_of_the_snapshots_before_an_interruption_the_last_is_told() -> None:
    found = timeline.moments(without_notice())
    before = [moment.text for moment in found if moment.time < BEGAN + 33 and moment.kind == "snapshot"]
    assert before == ["snapshot of iteration 600"]


def test_a_loss_tells_its_reason_and_a_recovery_its_rule() -> None:
    texts = [moment.text for moment in timeline.moments(without_notice())]
    assert "training stops at iteration 650: killed" in texts
    texts = [moment.text for moment in timeline.moments(by_notice())]
    assert "goes on from iteration 660, 1 of 2 executors (iter_size 2)" in texts


def test_throughput_is_of_each_attempt_and_nothing_where_training_stands_still() -> None:
    found = timeline.rates(by_notice().events)
    assert between(found, 2, 33) == pytest.approx([20 * BATCH * 2] * len(between(found, 2, 33)))
    assert between(found, 41, 110) == pytest.approx([10 * BATCH] * len(between(found, 41, 110)))
    assert set(between(found, 33.01, 39.01)) == {0.0}
    assert [rate.time for rate in found] == sorted(rate.time for rate in found)


def test_reports_of_one_moment_give_no_rate() -> None:
    twice = at(5, contract.Progress(100, 200, images_per_s=10.0, seconds=5.0))
    assert timeline.rates([twice, twice]) == [Rate(BEGAN + 5, 0.0)]


def test_an_attempt_that_counts_anew_is_no_negative_rate() -> None:
    events = in_order(progress(0, 10, 100), progress(11, 20, 50))
    assert min(rate.images_per_s for rate in timeline.rates(events)) >= 0.0


def test_nothing_has_no_throughput() -> None:
    assert timeline.rates([]) == []
    assert timeline.moments(Record()) == []


def test_the_file_has_the_verdict_and_all_that_it_comes_from(tmp_path: Path) -> None:
    record = by_notice()
    judged = verdict(FACTS.plan, record, accuracy=0.99, baseline=0.99)
    document = json.loads(timeline.write(tmp_path, FACTS, record, judged).read_text())

    assert document["verdict"]["snapshot_s"] == 4.5
    assert (document["verdict"]["passed"], document["verdict"]["cost"]) == (True, 0)
    assert document["drill"]["nodes"] == ["w2"]
    assert "simulated" in document
    events = [contract.load(json.dumps(event)) for event in document["events"]]
    again = Record([event for event in events if event], [Mark(**mark) for mark in document["marks"]])
    assert verdict(Plan(**document["drill"]["plan"]), again, accuracy=0.99, baseline=0.99) == judged


def test_losses_that_are_no_numbers_are_written_as_text(tmp_path: Path) -> None:
    record = Record([at(1, contract.Progress(1, 2, float("nan")))])
    judged = verdict(FACTS.plan, record, accuracy=None, baseline=None)
    text = timeline.write(tmp_path, FACTS, record, judged).read_text()
    assert json.loads(text, parse_constant=pytest.fail)["events"][0]["loss"] == "NaN"

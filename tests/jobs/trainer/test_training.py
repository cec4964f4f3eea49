"""Training: what ranks are asked, what is told, and the rounds that are stored."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer import contract, training
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.journal import Journal
from tests.jobs.trainer.stage import MODEL, Driver, World, net, on_stage

HERE: Any = Driver()


@pytest.mark.parametrize(("transport", "ranks"), [("ethernet", 2), ("none", 1)])
def test_training_begins_with_what_its_losses_are_means_of(
    monkeypatch: pytest.MonkeyPatch, transport: str, ranks: int, tmp_path: Path
) -> None:
    running = World(monkeypatch).running
    on_stage(running, transport)
    running.journal = Journal(tmp_path / "events.jsonl", io.StringIO())

    first = training._train(running, HERE)

    events = [contract.load(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert first == 150
    assert events[:2] == [contract.Phase("train"), contract.Training(ranks, 40, 4, "hdfs://h/a.solverstate")]
    assert isinstance(events[2], contract.Trained)
    assert events[2].iterations == 150


@pytest.mark.parametrize(
    ("transport", "nccl", "words"),
    [
        ("ethernet", True, "gradients are averaged by NCCL"),
        ("ethernet", False, "gradients are averaged by the CPU: Caffe was built without NCCL"),
        ("none", True, "gradients are not averaged: with transport none, ranks train alone"),
        ("none", False, "gradients are not averaged: with transport none, ranks train alone"),
    ],
)
def test_a_job_on_gpus_tells_how_its_gradients_are_averaged(
    monkeypatch: pytest.MonkeyPatch, transport: str, nccl: bool, words: str
) -> None:
    world = World(monkeypatch)
    monkeypatch.setattr("jobs.trainer.caffe.native.has_nccl", lambda: nccl)
    on_stage(world.running, transport)
    world.running.job.gpu = True

    training._train(world.running, HERE)

    assert f"solver_mode GPU: 2 ranks, each on a GPU of its own; {words}" in world.shown.getvalue()


@pytest.mark.parametrize("output_format", ["json", "parquet"])
def test_validations_are_stored_beside_the_model_in_the_format_of_the_output(
    monkeypatch: pytest.MonkeyPatch, output_format: str
) -> None:
    world = World(monkeypatch, 100, 200, output_format=output_format)

    training._write_rounds(world.running, 0)

    assert world.stored == {f"{MODEL}.validation": (output_format, [100, 200])}
    assert f"2 rounds of validation: {MODEL}.validation" in world.shown.getvalue()
    assert "note" not in world.shown.getvalue()


def test_rounds_that_got_lost_on_their_way_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 200)

    training._write_rounds(world.running, 0)

    assert f"note: {MODEL}.validation lacks rounds that did not reach the driver" in world.shown.getvalue()
    assert world.stored


def test_a_training_without_validation_stores_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.running.job.validates = lambda _: False

    training._write_rounds(world.running, 0)

    assert world.stored == {}
    assert world.shown.getvalue() == ""


def test_a_table_that_cannot_be_stored_fails_the_job_and_names_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, 100, 200)
    world.fails = "no space"

    with pytest.raises(TrainerError, match=f"no space.*score {MODEL} without -train"):
        training._write_rounds(world.running, 0)


def test_ranks_get_the_snapshot_with_its_feed_and_the_sources_of_validated_nets(running: Any) -> None:
    running.job.tests = [net("a", 0), net("b")]
    running.options.weights = ("hdfs://h/a.caffemodel",)
    running.conf[contract.TIMEOUT_CONF] = "7"

    training._train(running, HERE)

    plan = running.context.plan
    assert (plan.train, plan.tests, plan.weights) == ("t", ("", "b"), ("hdfs://h/a.caffemodel",))
    assert (plan.snapshot, plan.snapshot_name) == ("hdfs://h/a.solverstate", "a.solverstate")
    assert plan.feed == "hdfs://h/a.feed.json"
    assert (plan.size, plan.timeout_s, plan.communicate, plan.by_nccl) == (2, 7.0, True, False)
    assert len(plan.token) >= 16


def test_ranks_without_a_snapshot_begin_at_the_first_iteration(running: Any) -> None:
    running.options.snapshot = ""

    training._train(running, HERE)

    plan = running.context.plan
    assert (plan.snapshot, plan.snapshot_name, plan.feed) == ("", "", "")


def test_a_snapshot_without_its_feed_is_told(running: Any, tmp_path: Path) -> None:
    running.files.missing.add("hdfs://h/a.feed.json")

    training._train(running, HERE)

    assert running.context.plan.feed == ""
    assert "there is no hdfs://h/a.feed.json" in (tmp_path / "events.jsonl").read_text()


def test_a_rank_alone_trains_too(running: Any, tmp_path: Path) -> None:
    running.ranks = running.size = 1

    assert training._train(running, HERE) == 150

    events = [contract.load(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    trained = next(event for event in events if isinstance(event, contract.Trained))
    assert (trained.iterations, trained.hosts, trained.sha256, trained.model) == (150, ["w1"], "x", MODEL)
    assert trained.images_per_s == pytest.approx(10.0)


@pytest.mark.parametrize(("given_up", "code"), [(True, "executors-missing"), (False, "stage-failed")])
def test_a_stage_that_fails_tells_its_cause_or_the_executors_that_never_came(
    running: Any, monkeypatch: pytest.MonkeyPatch, given_up: bool, code: str
) -> None:
    running.executors.given_up, running.size = given_up, 2
    running.executors.missing = lambda size: TrainerError("executors-missing", requested=size, registered=0)
    running.failure = lambda _: TrainerError("stage-failed", reason="x")
    monkeypatch.setattr(type(running.context), "collect", lambda _: 1 / 0)

    with pytest.raises(TrainerError) as failed:
        training._train(running, HERE)

    assert failed.value.code == code

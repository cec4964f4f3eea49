"""The driver's part of a job, without Spark."""

from __future__ import annotations

import io
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer import contract, rounds
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.cli import parse
from jobs.trainer.driver import Driver
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.events.channel import Address
from jobs.trainer.events.journal import Journal

MODEL = "hdfs://h/mnist.model"


class World:
    """A driver whose training from iteration 0 to 300 is over, with validations at some iterations."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *iterations: int, output_format: str = "json"
    ) -> None:
        self.shown = io.StringIO()
        self.stored: dict[str, tuple[str, list[Any]]] = {}
        self.fails = ""
        made: Any = object.__new__(Driver)
        made._spark, made._model, made._journal = None, MODEL, Journal(None, self.shown)
        made._options = SimpleNamespace(output_format=output_format)
        made._executors = SimpleNamespace(removed=list)
        made._job = SimpleNamespace(max_iter=300, validates=lambda iteration: iteration in {100, 200})
        for iteration in iterations:
            made._journal.add(contract.Validation(iteration, 300, {"accuracy": [0.5]}))
        self.driver = made
        monkeypatch.setattr(rounds, "write", self._write)
        monkeypatch.setattr("jobs.trainer.driver.LATE_REPORTS_S", 0.0)

    def _write(self, _: Any, found: list[contract.Validation], uri: str, written_as: str) -> None:
        if self.fails:
            raise RuntimeError(self.fails)
        if found:
            self.stored[uri] = (written_as, [one.iteration for one in found])


class Stage:
    """A context that runs a barrier stage: each rank gives its figures."""

    def parallelize(self, ranks: Any, _: int) -> Any:
        self.ranks = list(ranks)
        return self

    def barrier(self) -> Any:
        return self

    def mapPartitions(self, body: Any) -> Any:
        (self.plan,) = body.args
        return self

    def mapPartitionsWithIndex(self, body: Any) -> Any:
        (self.plan,) = body.args
        return self

    def collect(self) -> list[dict[str, Any]]:
        figures = {"first": 150, "seconds": 1.0, "images": 10, "sha256": "x", "waited_seconds": 0.0}
        return [{"rank": rank, "host": f"w{rank + 1}", **figures} for rank in self.ranks]


def on_stage(driver: Any, transport: str) -> None:
    """Give a driver two ranks that train on a stage."""
    driver._context, driver._ranks, driver._conf = Stage(), 2, {contract.TRANSPORT_CONF: transport}
    driver._nodes = SimpleNamespace(add=lambda uri: uri)
    driver._data = SimpleNamespace(name=lambda source: source.uri)
    driver._executors.launching = nullcontext
    driver._files = SimpleNamespace(exists=lambda _: True)
    driver._options = SimpleNamespace(
        snapshot="hdfs://h/a.solverstate", weights=(), train=True, connection="ethernet"
    )
    driver._job = SimpleNamespace(
        train=SimpleNamespace(uri="t"),
        tests=[],
        weights=(),
        average_loss=40,
        iter_size=4,
        max_iter=300,
        gpu=False,
    )


@pytest.mark.parametrize(("transport", "ranks"), [("ethernet", 2), ("none", 1)])
def test_training_begins_with_what_its_losses_are_means_of(
    monkeypatch: pytest.MonkeyPatch, transport: str, ranks: int, tmp_path: Path
) -> None:
    driver = World(monkeypatch).driver
    on_stage(driver, transport)
    driver._journal = Journal(tmp_path / "events.jsonl", io.StringIO())

    first = driver._train(Address("h", 1, "t"))

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
    on_stage(world.driver, transport)
    world.driver._job.gpu = True

    world.driver._train(Address("h", 1, "t"))

    assert f"solver_mode GPU: 2 ranks, each on a GPU of its own; {words}" in world.shown.getvalue()


@pytest.mark.parametrize("output_format", ["json", "parquet"])
def test_validations_are_stored_beside_the_model_in_the_format_of_the_output(
    monkeypatch: pytest.MonkeyPatch, output_format: str
) -> None:
    world = World(monkeypatch, 100, 200, output_format=output_format)

    world.driver._write_rounds(0)

    assert world.stored == {f"{MODEL}.validation": (output_format, [100, 200])}
    assert f"2 rounds of validation: {MODEL}.validation" in world.shown.getvalue()
    assert "note" not in world.shown.getvalue()


def test_rounds_that_got_lost_on_their_way_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 200)

    world.driver._write_rounds(0)

    assert f"note: {MODEL}.validation lacks rounds that did not reach the driver" in world.shown.getvalue()
    assert world.stored


def test_a_training_without_validation_stores_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.driver._job.validates = lambda _: False

    world.driver._write_rounds(0)

    assert world.stored == {}
    assert world.shown.getvalue() == ""


def test_a_table_that_cannot_be_stored_fails_the_job_and_names_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, 100, 200)
    world.fails = "no space"

    with pytest.raises(TrainerError, match=f"no space.*score {MODEL} without -train"):
        world.driver._write_rounds(0)


@pytest.mark.parametrize(
    ("source_class", "needed", "code"),
    [
        ("ImageDataFrame", "hdfs:///data/mnist/train_lmdb", "source-path-missing"),
        ("SeqImageDataSource", "hdfs:///data/mnist/train_lmdb", "source-path-missing"),
        ("LMDB", "hdfs:///data/mnist/train_lmdb/data.mdb", "source-missing"),
    ],
)
def test_a_source_is_looked_for_in_storage_before_anything_runs(
    prototxts: Path, pb: Any, source_class: str, needed: str, code: str
) -> None:
    net = prototxts.parent / "lenet_memory_train_test.prototxt"
    net.write_text(net.read_text().replace("caffe.LMDB", f"caffe.{source_class}", 1))
    made: Any = object.__new__(Driver)
    made._options = parse(["-train", "-conf", "s", "-model", "hdfs:///m"])
    for stored in ([needed], []):
        made._job = load(prototxts, pb)
        made._files = SimpleNamespace(
            absolute=lambda uri: uri, exists=lambda uri, stored=stored: uri in stored or "test_lmdb" in uri
        )
        if stored:
            made._check_paths()
            continue
        with pytest.raises(Refused) as refused:
            made._check_paths()
        assert refused.value.code == code


def test_executors_that_never_come_are_told_instead_of_a_source_that_spark_could_not_read() -> None:
    made: Any = object.__new__(Driver)
    made._size = 2

    def fail(*_: Any) -> None:
        raise Refused("source-unreadable", uri="u", reason="Job 0 cancelled")

    made._data = SimpleNamespace(add=fail, heard=bool)
    for given_up, code in ((False, "source-unreadable"), (True, "executors-missing")):
        made._executors = SimpleNamespace(
            launching=lambda _: nullcontext(),
            given_up=given_up,
            missing=lambda size: TrainerError("executors-missing", requested=size, registered=0),
        )
        with pytest.raises(TrainerError) as failed:
            made._added("TRAIN", SimpleNamespace())
        assert failed.value.code == code


def test_storage_is_not_asked_for_a_source_of_the_users(
    prototxts: Path, pb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.trainer.sources.custom.class_of", lambda *_: None)
    net = prototxts.parent / "lenet_memory_train_test.prototxt"
    text = net.read_text().replace("com.yahoo.ml.caffe.LMDB", "own.Numbers")
    net.write_text(text.replace("hdfs:///data/mnist/", "jdbc:numbers/"))
    made: Any = object.__new__(Driver)
    made._options = parse(["-train", "-conf", "s", "-model", "hdfs:///m"])
    made._job = load(prototxts, pb)
    made._files = SimpleNamespace(absolute=str, exists=pytest.fail)

    made._check_paths()

    assert made._job.train.uri == "jdbc:numbers/train_lmdb"

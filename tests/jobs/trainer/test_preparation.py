"""Preparation of a job: what it looks for, what it reads, and what it refuses."""

from __future__ import annotations

import io
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer import checks, contract, preparation
from jobs.trainer.caffe.probe import Nets
from jobs.trainer.caffe.prototxt import TrainingJob, load
from jobs.trainer.cli import parse
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.events.channel import Address
from jobs.trainer.events.journal import Journal
from jobs.trainer.running import RunningJob
from tests.jobs.trainer.stage import net

HERE = Address("h", 1, "t")
SOURCE: Any = SimpleNamespace()
PROBE: Any = SimpleNamespace()


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
    made: Any = object.__new__(RunningJob)
    made.options = parse(["-train", "-conf", "s", "-model", "hdfs:///m"])
    for stored in ([needed], []):
        made.job = load(prototxts, pb)
        made.files = SimpleNamespace(
            absolute=lambda uri: uri, exists=lambda uri, stored=stored: uri in stored or "test_lmdb" in uri
        )
        if stored:
            preparation._check_paths(made)
            continue
        with pytest.raises(Refused) as refused:
            preparation._check_paths(made)
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("given", "model"), [("-train", "hdfs:///m.caffemodel.h5"), ("-test", "hdfs:///m.caffemodel")]
)
def test_the_model_has_the_suffix_of_the_solvers_format_where_it_is_written(
    prototxts: Path, pb: Any, given: str, model: str
) -> None:
    prototxts.write_text(prototxts.read_text() + " snapshot_format: HDF5")
    made: Any = object.__new__(RunningJob)
    made.options = parse([given, "-conf", "s", "-model", "/m.caffemodel", "-output", ""])
    made.job = load(prototxts, pb)
    made.files = SimpleNamespace(absolute="hdfs://{}".format, exists=lambda uri: "output" not in uri)

    preparation._check_paths(made)

    assert made.model == model
    assert made.job.train.uri == "hdfs://hdfs:///data/mnist/train_lmdb"


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (["-test", "-model", "hdfs:///m"], "hdfs:///m"),
        (["-train", "-model", "hdfs:///m", "-weights", "hdfs:///w"], "hdfs:///w"),
    ],
)
def test_files_that_a_job_starts_from_have_to_be_there(
    prototxts: Path, pb: Any, given: list[str], missing: str
) -> None:
    made: Any = object.__new__(RunningJob)
    made.options = parse([*given, "-conf", "s"])
    head = SimpleNamespace(absolute=str, head=lambda *_: b"\x0a\x05LeNet")
    for there in (True, False):
        made.job = load(prototxts, pb)
        made.files = head
        made.files.exists = lambda uri, there=there: "output" not in uri and (there or uri != missing)
        if there:
            preparation._check_paths(made)
            continue
        with pytest.raises(Refused, match=missing) as refused:
            preparation._check_paths(made)
        assert refused.value.code == "input-missing"


class Reading:
    """A source that Spark cannot read so many times, for a loss of executors or another reason."""

    LOST = (
        "Job aborted due to stage failure: Task 0 in stage 1.0 failed 1 times, most recent failure: Lost "
        "task 0.0 in stage 1.0 (TID 1) (w2 executor 1): ExecutorLostFailure (executor 1 exited "
        "caused by one of the running tasks) Reason: Remote RPC client disassociated."
    )

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: int, action: str, why: str = LOST) -> None:
        self.left, self.why, self.waited = failures, why, 0
        self.events = list[contract.Event]()
        made: Any = object.__new__(RunningJob)
        made.size, made.conf = 2, {contract.ON_WORKER_LOST_CONF: action}
        sender: Any = SimpleNamespace(send=self.events.append, close=bool)
        made.journal = Journal(None, io.StringIO(), sender)
        made.data = SimpleNamespace(add=self._add, heard=bool)
        made.executors = SimpleNamespace(
            launching=lambda _: nullcontext(),
            given_up=False,
            removed=list,
            described=contract.Executors,
        )
        self.running = made
        monkeypatch.setattr(preparation, "Survivors", lambda *_: SimpleNamespace(wait=self._wait))

    def _add(self, *_: Any) -> str:
        if self.left:
            self.left -= 1
            raise Refused("source-unreadable", uri="u", reason="a stage failed") from RuntimeError(self.why)
        return "name"

    def _wait(self, _: TrainerError) -> None:
        self.waited += 1


def test_a_source_is_read_again_where_an_executor_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading(monkeypatch, 2, "shrink")

    assert preparation._added(reading.running, "TRAIN", SOURCE) == "name"

    assert reading.waited == 2
    lost = [event for event in reading.events if isinstance(event, contract.WorkersLost)]
    assert [(event.iteration, event.hosts, event.code) for event in lost] == [
        (0, ["w2"], "executor-lost")
    ] * 2


@pytest.mark.parametrize(("failures", "action"), [(1, "fail"), (9, "shrink")])
def test_a_source_whose_executors_are_lost_again_and_again_is_not_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, failures: int, action: str
) -> None:
    reading = Reading(monkeypatch, failures, action)
    with pytest.raises(TrainerError, match="executor 1 on w2: it was lost") as failed:
        preparation._added(reading.running, "TRAIN", SOURCE)
    assert failed.value.code == "executor-lost"
    assert reading.waited <= preparation.MOST_AGAIN


def test_a_source_that_cannot_be_read_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading(monkeypatch, 1, "shrink", why="Malformed records are detected")
    with pytest.raises(Refused, match="a stage failed"):
        preparation._added(reading.running, "TRAIN", SOURCE)
    assert reading.waited == 0


def test_executors_that_never_come_are_told_instead_of_a_source_that_spark_could_not_read() -> None:
    made: Any = object.__new__(RunningJob)
    made.size = 2

    def fail(*_: Any) -> None:
        raise Refused("source-unreadable", uri="u", reason="Job 0 cancelled")

    made.data = SimpleNamespace(add=fail, heard=bool)
    for given_up, code in ((False, "source-unreadable"), (True, "executors-missing")):
        made.executors = SimpleNamespace(
            launching=lambda _: nullcontext(),
            given_up=given_up,
            missing=lambda size: TrainerError("executors-missing", requested=size, registered=0),
        )
        with pytest.raises(TrainerError) as failed:
            preparation._added(made, "TRAIN", SOURCE)
        assert failed.value.code == code


def test_storage_is_not_asked_for_a_source_of_the_users(
    prototxts: Path, pb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.trainer.sources.custom.class_of", lambda *_: None)
    net = prototxts.parent / "lenet_memory_train_test.prototxt"
    text = net.read_text().replace("com.yahoo.ml.caffe.LMDB", "own.Numbers")
    net.write_text(text.replace("hdfs:///data/mnist/", "jdbc:numbers/"))
    made: Any = object.__new__(RunningJob)
    made.options = parse(["-train", "-conf", "s", "-model", "hdfs:///m"])
    made.job = load(prototxts, pb)
    made.files = SimpleNamespace(absolute=str, exists=pytest.fail)

    preparation._check_paths(made)

    assert made.job.train.uri == "jdbc:numbers/train_lmdb"


@pytest.mark.parametrize(("scores", "tests", "told"), [(True, 2, True), (True, 1, False), (False, 2, False)])
def test_the_net_that_is_scored_is_told_where_there_are_several(
    running: Any, monkeypatch: pytest.MonkeyPatch, scores: bool, tests: int, told: bool
) -> None:
    shown = io.StringIO()
    running.journal, running.size = Journal(None, shown), 2
    running.options = SimpleNamespace(notes=("an option without effect",), scores=scores, cluster_size=2)
    running.job.tests = [net("a")] * tests
    running.job.tests[0].data.batch = 2
    running.job.numbered = lambda name, _: name
    for name, result in {
        "_check_paths": None,
        "_checked": Nets({}, ()),
        "_distribute_sources": (False, {"TEST": 4}),
    }.items():
        monkeypatch.setattr(preparation, name, lambda *_, result=result: result)
    running.executors.require = running.size.__eq__
    running.executors.described = lambda: contract.Executors("app-1", {})

    preparation.prepare(running, PROBE)

    assert "note: an option without effect" in shown.getvalue()
    assert ("score the first of 2 TEST nets" in shown.getvalue()) == told


@pytest.mark.parametrize(
    ("records", "told", "first", "again", "tried", "refused"),
    [
        (8, False, "", "", [], False),
        (10, False, "", "", [], False),
        (8, False, "no", "", [], False),
        (9, False, "no", "", [], True),
        # Two samples may be taken where one is not.
        (10, False, "no", "", [2], False),
        (10, False, "no", "no", [2], True),
        (10, True, "", "", [2], False),
        (10, True, "", "no", [2], True),
        (8, True, "", "", [0], False),
    ],
)
def test_a_scored_net_that_does_not_take_the_last_batch_is_refused_before_a_stage_runs(
    running: Any,
    monkeypatch: pytest.MonkeyPatch,
    records: int,
    told: bool,
    first: str,
    again: str,
    tried: list[int],
    refused: bool,
) -> None:
    asked: list[int] = []
    probed: Any = first
    running.size, running.folder = 2, None
    running.options = SimpleNamespace(notes=(), scores=True, train=False, cluster_size=2)
    running.job.tests = [net("a")]
    running.job.tests[0].data.batch = 4
    running.job.numbered = lambda name, _: name
    running.executors.require = running.size.__eq__
    running.executors.described = lambda: contract.Executors("app-1", {})
    for name, result in {
        "_check_paths": lambda _: None,
        "_distribute_sources": lambda _: (told, {"TEST": records}),
        "_checked": lambda _, fixed: Nets({}, (), fixed=fixed),
    }.items():
        monkeypatch.setattr(preparation, name, result)

    def probe(*given: Any) -> str:
        asked.append(given[-1])
        return again

    monkeypatch.setattr("jobs.trainer.preparation.Probe", probe)

    if refused:
        with pytest.raises(Refused, match=f"of its source's {records} records the last batch has"):
            preparation.prepare(running, probed)
    else:
        preparation.prepare(running, probed)
    assert asked == tried


@pytest.mark.parametrize(
    ("train", "scores", "read"),
    [
        (True, False, {"TRAIN": "t", "TEST#1": "b"}),
        (False, True, {"TEST#0": "a"}),
        (True, True, {"TRAIN": "t", "TEST#0": "a", "TEST#1": "b"}),
    ],
)
def test_sources_are_read_where_they_are_trained_on_validated_or_scored(
    running: Any, train: bool, scores: bool, read: dict[str, str]
) -> None:
    running.options = SimpleNamespace(train=train, scores=scores)
    running.job.tests = [net("a", 0), net("b")]
    running.job.numbered = lambda name, number: TrainingJob.numbered(running.job, name, number)

    assert {name: source.uri for name, source in preparation._sources(running).items()} == read
    assert list(checks.evaluated(running.options, running.job)) == [
        int(name[-1]) for name in read if "#" in name
    ]


@pytest.mark.parametrize(("train", "refused"), [(True, True), (False, False)])
def test_records_have_to_be_enough_to_train_on_and_any_number_is_scored(
    running: Any, monkeypatch: pytest.MonkeyPatch, train: bool, refused: bool
) -> None:
    class One:
        """A source of one record."""

        def shape(self) -> tuple[int, int, int]:
            return 1, 28, 28

        def __len__(self) -> int:
            return 1

        def close(self) -> None:
            pass

    layer = SimpleNamespace(source_class="", shape=(1, 28, 28))
    running.options.train, running.datum = train, None
    running.job.test_interval, running.job.train = 0, SimpleNamespace(batch=64)
    running.data.decoded = None
    for name, value in {
        "locate": str,
        "open_source": lambda *_: One(),
        "with_layers": lambda job, _: job,
        "checks.records": lambda *_: None,
        "_sources": lambda _: {"TRAIN": layer} if train else {"TEST": layer},
        "_added": lambda _, name, __: name,
    }.items():
        monkeypatch.setattr(f"jobs.trainer.preparation.{name}", value)

    if refused:
        with pytest.raises(Refused, match="1 "):
            preparation._distribute_sources(running)
    else:
        assert preparation._distribute_sources(running) == (False, {"TEST": 1})

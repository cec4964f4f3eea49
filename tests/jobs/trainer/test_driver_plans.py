"""Driver: which of its parts run, what it reads, and what it asks of ranks and of scoring parts."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer import checks, contract
from jobs.trainer.caffe.probe import Nets
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.driver import Driver
from jobs.trainer.errors import Refused
from jobs.trainer.events.channel import Address
from jobs.trainer.events.journal import Journal
from tests.jobs.trainer.test_driver import MODEL, World, on_stage

HERE = Address("h", 1, "t")


def net(uri: str, test_iter: int = 1) -> Any:
    return SimpleNamespace(data=SimpleNamespace(uri=uri), test_iter=test_iter)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A driver of two ranks, with its events in a file."""
    made = World(monkeypatch).driver
    on_stage(made, "ethernet")
    made._journal = Journal(tmp_path / "events.jsonl", io.StringIO())
    return made


@pytest.mark.parametrize(
    ("train", "scores", "run"),
    [
        (True, False, ["prepared", "trained"]),
        (False, True, ["prepared", "scored"]),
        (True, True, ["prepared", "trained", "scored"]),
    ],
)
def test_a_job_trains_scores_or_both_as_its_options_say(train: bool, scores: bool, run: list[str]) -> None:
    done: list[str] = []

    class Parts(Driver):
        def __init__(self) -> None:
            self._options = SimpleNamespace(train=train, scores=scores)  # type: ignore[assignment]

        def prepare(self, _: Any) -> Any:
            done.append("prepared")

        def train(self, _: Any) -> None:
            done.append("trained")

        def _score(self, *_: Any) -> None:
            done.append("scored")

    Parts().run(SimpleNamespace(), SimpleNamespace(address=None))  # type: ignore[arg-type]

    assert done == run


@pytest.mark.parametrize(("scores", "tests", "told"), [(True, 2, True), (True, 1, False), (False, 2, False)])
def test_the_net_that_is_scored_is_told_where_there_are_several(
    driver: Any, monkeypatch: pytest.MonkeyPatch, scores: bool, tests: int, told: bool
) -> None:
    shown = io.StringIO()
    driver._journal, driver._size = Journal(None, shown), 2
    driver._options = SimpleNamespace(notes=("an option without effect",), scores=scores, cluster_size=2)
    driver._job.tests = [net("a")] * tests
    driver._job.tests[0].data.batch = 2
    driver._job.numbered = lambda name, _: name
    for name, result in {
        "_check_paths": None,
        "_checked": Nets({}, ()),
        "_distribute_sources": (False, {"TEST": 4}),
    }.items():
        monkeypatch.setattr(driver, name, lambda *_, result=result: result, raising=False)
    driver._executors.require = driver._size.__eq__
    driver._executors.described = lambda: contract.Executors("app-1", {})

    driver.prepare(SimpleNamespace())

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
    driver: Any,
    monkeypatch: pytest.MonkeyPatch,
    records: int,
    told: bool,
    first: str,
    again: str,
    tried: list[int],
    refused: bool,
) -> None:
    asked: list[int] = []
    driver._size, driver._folder = 2, None
    driver._options = SimpleNamespace(notes=(), scores=True, train=False, cluster_size=2)
    driver._job.tests = [net("a")]
    driver._job.tests[0].data.batch = 4
    driver._job.numbered = lambda name, _: name
    driver._executors.require = driver._size.__eq__
    driver._executors.described = lambda: contract.Executors("app-1", {})
    for name, result in {
        "_check_paths": lambda: None,
        "_distribute_sources": lambda: (told, {"TEST": records}),
        "_checked": lambda fixed: Nets({}, (), fixed=fixed),
    }.items():
        monkeypatch.setattr(driver, name, result, raising=False)

    def probe(*given: Any) -> str:
        asked.append(given[-1])
        return again

    monkeypatch.setattr("jobs.trainer.driver.Probe", probe)

    if refused:
        with pytest.raises(Refused, match=f"of its source's {records} records the last batch has"):
            driver.prepare(first)
    else:
        driver.prepare(first)
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
    driver: Any, train: bool, scores: bool, read: dict[str, str]
) -> None:
    driver._options = SimpleNamespace(train=train, scores=scores)
    driver._job.tests = [net("a", 0), net("b")]
    driver._job.numbered = lambda name, number: TrainingJob.numbered(driver._job, name, number)

    assert {name: source.uri for name, source in driver._sources().items()} == read
    assert list(checks.evaluated(driver._options, driver._job)) == [
        int(name[-1]) for name in read if "#" in name
    ]


@pytest.mark.parametrize(("train", "refused"), [(True, True), (False, False)])
def test_records_have_to_be_enough_to_train_on_and_any_number_is_scored(
    driver: Any, monkeypatch: pytest.MonkeyPatch, train: bool, refused: bool
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
    driver._options.train, driver._datum = train, None
    driver._job.test_interval, driver._job.train = 0, SimpleNamespace(batch=64)
    driver._data.decoded = None
    for name, value in {
        "locate": str,
        "open_source": lambda *_: One(),
        "with_layers": lambda job, _: job,
        "checks.records": lambda *_: None,
    }.items():
        monkeypatch.setattr(f"jobs.trainer.driver.{name}", value)
    monkeypatch.setattr(
        driver, "_sources", lambda: {"TRAIN": layer} if train else {"TEST": layer}, raising=False
    )
    monkeypatch.setattr(driver, "_added", lambda name, _: name, raising=False)

    if refused:
        with pytest.raises(Refused, match="1 "):
            driver._distribute_sources()
    else:
        assert driver._distribute_sources() == (False, {"TEST": 1})


def test_ranks_get_the_snapshot_with_its_feed_and_the_sources_of_nets_that_are_validated(driver: Any) -> None:
    driver._job.tests = [net("a", 0), net("b")]
    driver._options.weights = ("hdfs://h/a.caffemodel",)
    driver._conf[contract.TIMEOUT_CONF] = "7"

    driver._train(HERE)

    plan = driver._context.plan
    assert (plan.train, plan.tests, plan.weights) == ("t", ("", "b"), ("hdfs://h/a.caffemodel",))
    assert (plan.snapshot, plan.snapshot_name) == ("hdfs://h/a.solverstate", "a.solverstate")
    assert plan.feed == "hdfs://h/a.feed.json"
    assert (plan.size, plan.timeout_s, plan.communicate, plan.by_nccl) == (2, 7.0, True, False)
    assert len(plan.token) >= 16


def test_ranks_without_a_snapshot_begin_at_the_first_iteration(driver: Any) -> None:
    driver._options.snapshot = ""

    driver._train(HERE)

    plan = driver._context.plan
    assert (plan.snapshot, plan.snapshot_name, plan.feed) == ("", "", "")


def test_a_snapshot_without_its_feed_is_told(driver: Any, tmp_path: Path) -> None:
    driver._files.exists = lambda _: False

    driver._train(HERE)

    assert driver._context.plan.feed == ""
    assert "there is no hdfs://h/a.feed.json" in (tmp_path / "events.jsonl").read_text()


def test_a_rank_alone_trains_too(driver: Any, tmp_path: Path) -> None:
    driver._ranks = 1

    assert driver._train(HERE) == 150

    events = [contract.load(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    trained = next(event for event in events if isinstance(event, contract.Trained))
    assert (trained.iterations, trained.hosts, trained.sha256, trained.model) == (150, ["w1"], "x", MODEL)
    assert trained.images_per_s == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("test", "columns", "wanted"),
    [
        (True, (), ("accuracy", "loss")),
        (False, ("ip1", "label"), ("ip1", "label")),
        (True, ("loss", "label"), ("loss", "label", "accuracy")),
    ],
)
def test_parts_score_the_features_and_the_outputs_once_each(
    driver: Any,
    monkeypatch: pytest.MonkeyPatch,
    test: bool,
    columns: tuple[str, ...],
    wanted: tuple[str, ...],
) -> None:
    monkeypatch.setattr("jobs.trainer.driver.schema", lambda names: names)
    driver._spark = SimpleNamespace(createDataFrame=lambda _, names, **__: names)
    driver._nodes.add_model = lambda uri, written: (uri, written)
    driver._options = SimpleNamespace(test=test, columns=columns, train=False)
    driver._job.tests = [net("a")]

    assert driver.scored(SimpleNamespace(outputs=("accuracy", "loss")), HERE) == wanted

    plan = driver._context.plan
    assert (plan.size, plan.test, plan.model, plan.columns) == (2, "a", (MODEL, False), wanted)

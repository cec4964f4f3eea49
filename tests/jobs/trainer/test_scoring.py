"""Scoring: what its parts are asked, and the means of what they have summed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jobs.trainer import contract, scoring
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.channel import Address
from jobs.trainer.ranks.score import ScorePlan, Sums
from tests.jobs.trainer.stage import MODEL, net

HERE = Address("h", 1, "t")
NETS: Any = SimpleNamespace(outputs=("accuracy", "loss"))


class Parts:
    """A context whose parts are run in turn, each with a batch of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plans: list[ScorePlan] = []
        monkeypatch.setattr("jobs.trainer.scoring.score_part", self._score)

    def parallelize(self, parts: Any, _: int) -> Any:
        self.parts = list(parts)
        return self

    def mapPartitionsWithIndex(self, body: Any) -> Any:
        self.body = body
        return self

    def collect(self) -> list[Any]:
        return [row for part in self.parts for row in self.body(part, iter(()))]

    def accumulator(self, value: Any, param: Any) -> Any:
        self.value, self.add = value, lambda more: param.addInPlace(value, more)
        return self

    def _score(self, plan: ScorePlan, part: int, tell: Any) -> Any:
        self.plans.append(plan)
        samples = 3 - 2 * part  # three in part 0, one in part 1
        sums = Sums(plan.outputs)
        sums.add({name: np.full((samples, 1), float(part)) for name in plan.outputs})
        for sample in range(samples):
            yield (f"{part}-{sample}", *[[0.0]] * len(plan.columns))
        tell(sums)


class Frame:
    """A frame of rows, computed when it is written."""

    def __init__(self, rows: Any, columns: Any) -> None:
        self.rows, self.columns = rows, columns
        self.write = self

    def select(self, *columns: str) -> Any:
        self.selected = columns
        return self

    def format(self, name: str) -> Any:
        self.written_as = name
        return self

    def save(self, uri: str) -> None:
        self.saved = (uri, [row[0] for row in self.rows.collect()])


@pytest.fixture
def scoring_job(running: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A job of two parts, whose frames and files are kept."""
    monkeypatch.setattr("jobs.trainer.scoring.schema", lambda names: names)
    running.context, running.frames, running.written = Parts(monkeypatch), [], {}

    def frame(rows: Any, columns: Any, **_: Any) -> Frame:
        made = Frame(rows, columns)
        running.frames.append(made)
        return made

    running.spark = SimpleNamespace(createDataFrame=frame)
    running.nodes.add_model = lambda uri, written: (uri, written)
    running.files.write = running.written.__setitem__
    running.job.tests = [net("a")]
    running.events = []
    running.journal = SimpleNamespace(phase=lambda name: None, add=running.events.append)
    return running


def options(test: bool, *features: str) -> Any:
    return SimpleNamespace(
        test=test,
        features=features,
        columns=features,
        train=False,
        output="hdfs://h/out",
        output_format="json",
    )


def test_means_alone_are_summed_where_the_rows_are(scoring_job: Any) -> None:
    scoring_job.options = options(True)

    scoring.score(scoring_job, NETS, HERE)

    assert scoring_job.written == {"hdfs://h/out": "accuracy: 0.25\nloss: 0.25\n"}
    assert scoring_job.events == [
        contract.Means({"accuracy": [0.25], "loss": [0.25]}, 4, "hdfs://h/out"),
    ]
    assert scoring_job.frames == [], "no row leaves its executor"
    plan = scoring_job.context.plans[0]
    assert (plan.size, plan.test, plan.model) == (2, "a", (MODEL, False))
    assert (plan.columns, plan.outputs) == ((), ("accuracy", "loss"))


def test_features_and_means_come_of_one_pass(scoring_job: Any) -> None:
    scoring_job.options = options(True, "ip1", "label")

    scoring.score(scoring_job, NETS, HERE)

    (frame,) = scoring_job.frames
    assert frame.selected == ("SampleID", "`ip1`", "`label`")
    assert frame.saved == ("hdfs://h/out", ["0-0", "0-1", "0-2", "1-0"])
    assert scoring_job.written == {"hdfs://h/out.means": "accuracy: 0.25\nloss: 0.25\n"}
    assert len(scoring_job.context.plans) == 2, "each part was scored once"


def test_features_alone_have_no_means(scoring_job: Any) -> None:
    scoring_job.options = options(False, "ip1")

    scoring.score(scoring_job, NETS, HERE)

    assert scoring_job.frames[0].saved[0] == "hdfs://h/out"
    assert (scoring_job.written, scoring_job.events) == ({}, [])
    assert scoring_job.context.plans[0].outputs == ()


def test_a_frame_for_a_program_has_the_features(scoring_job: Any) -> None:
    scoring_job.options = options(True, "ip1")

    frame = scoring.scored(scoring_job, NETS, HERE)

    assert frame.columns == ("ip1",)
    assert len(frame.rows.collect()) == 4
    assert scoring_job.context.plans[0].outputs == (), "nobody asks for the means"


@pytest.mark.parametrize(("given_up", "code"), [(True, "executors-missing"), (False, "stage-failed")])
@pytest.mark.parametrize("train", [True, False])
def test_a_scoring_that_fails_tells_its_cause_and_the_model_that_was_trained(
    scoring_job: Any, monkeypatch: pytest.MonkeyPatch, given_up: bool, code: str, train: bool
) -> None:
    scoring_job.options, scoring_job.size = options(True), 2
    scoring_job.options.train = train
    scoring_job.executors.given_up = given_up
    scoring_job.executors.missing = lambda size: TrainerError(
        "executors-missing", requested=size, registered=0
    )
    scoring_job.failure = lambda _, resume: TrainerError("stage-failed", reason="x", **resume)
    monkeypatch.setattr(scoring_job.context, "collect", lambda: 1 / 0)

    with pytest.raises(TrainerError) as failed:
        scoring.sums(scoring_job, NETS, HERE)

    assert failed.value.code == code
    assert given_up or failed.value.fields.get("model") == (MODEL if train else None)


def test_after_a_loss_it_is_told_where_scoring_begins_again(
    scoring_job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = contract.Executors("app-1", {"2": {"host": "w3", "container": ""}})
    outcomes = iter([TrainerError("stage-failed", reason="lost"), None])

    def once(*_: object) -> None:
        failure = next(outcomes)
        if failure is not None:
            raise failure

    monkeypatch.setattr(scoring, "_score", once)
    monkeypatch.setattr(scoring, "_tidy", lambda _: None)
    monkeypatch.setattr(scoring, "policy", lambda *_: SimpleNamespace(action="shrink"))
    monkeypatch.setattr(scoring, "is_loss", lambda *_: True)
    monkeypatch.setattr("jobs.trainer.events.blame.hosts", lambda *_: ["w2"])
    monkeypatch.setattr(scoring, "Survivors", lambda *_: SimpleNamespace(wait=lambda _: ["2"]))
    scoring_job.executors = SimpleNamespace(described=lambda: again)
    scoring_job.journal.failures = []
    scoring_job.job = SimpleNamespace(max_iter=100)
    scoring_job.conf, scoring_job.size = {}, 2

    scoring.score(scoring_job, NETS, HERE)

    lost, told = scoring_job.events
    assert (type(lost), lost.hosts, told) == (contract.WorkersLost, ["w2"], again)

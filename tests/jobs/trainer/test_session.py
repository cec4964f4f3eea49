"""Spark's session, which starts with the first frame."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from jobs.trainer.errors import TrainerError
from jobs.trainer.session import session, stop


class Spark:
    """A stand-in for pyspark; `events` has what was started and stopped."""

    def __init__(self, fails: str = "") -> None:
        self.events: list[str] = []
        self.fails = fails
        self.getOrCreate = lambda: self.start("session")

    def start(self, what: str) -> SimpleNamespace:
        if what == self.fails:
            raise OSError(f"no {what}")
        self.events.append(what)
        return SimpleNamespace(
            stop=lambda: self.events.append(f"stop {what}"), read=f"{what}'s reader", applicationId="app"
        )


@pytest.fixture
def spark(monkeypatch: pytest.MonkeyPatch) -> Spark:
    made = Spark()
    context = SimpleNamespace(getOrCreate=lambda: made.start("context"))
    monkeypatch.setitem(sys.modules, "pyspark", SimpleNamespace(SparkContext=context))
    frames = SimpleNamespace(SparkSession=SimpleNamespace(builder=made))
    monkeypatch.setitem(sys.modules, "pyspark.sql", frames)
    return made


def test_a_job_without_frames_runs_and_ends_on_the_context_alone(spark: Spark) -> None:
    opened = session()
    assert opened.sparkContext.applicationId == "app"
    stop(opened)
    assert spark.events == ["context", "stop context"]


def test_the_first_frame_starts_the_session_and_the_next_one_does_not(spark: Spark) -> None:
    opened = session()
    assert [opened.read, opened.read] == ["session's reader"] * 2
    stop(opened)
    assert spark.events == ["context", "session", "stop session"]


@pytest.mark.parametrize("what", ["context", "session"])
def test_a_spark_that_does_not_start_is_told(spark: Spark, what: str) -> None:
    spark.fails = what
    with pytest.raises(TrainerError, match=f"Spark: it does not start: no {what}"):
        _ = session().read


def test_a_spark_that_cannot_be_stopped_any_more_is_no_failure(
    spark: Spark, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = session()

    def gone() -> None:
        raise OSError("the JVM is gone")

    opened.sparkContext.stop = gone
    stop(opened)
    assert capsys.readouterr().out == "Spark did not stop: the JVM is gone\n"

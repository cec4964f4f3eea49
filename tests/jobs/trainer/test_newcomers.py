"""Executors that register while a job runs, kept from ranks until their nodes are ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from jobs.trainer import newcomers as module
from jobs.trainer.executors import ASIDE
from jobs.trainer.newcomers import Newcomers
from jobs.trainer.ranks import ready


class Executors:
    """Executors on the hosts w of their ids; those that have completed a task are proven."""

    def __init__(self) -> None:
        self.done, self.there, self.each = list[str](), ["0", "1"], 1

    def proven(self) -> list[str]:
        return self.done

    def active(self) -> dict[str, str]:
        return {one: f"w{one}" for one in self.there}

    def slots(self) -> int:
        return self.each


class Spark:
    """A context that keeps the stages given to it; each waits until it is let go."""

    def __init__(self) -> None:
        self.stages, self.groups = list[tuple[int, Any]](), list[str]()
        self.failure: Exception | None = None
        self.over, self.given = threading.Event(), threading.Semaphore(0)

    def setJobGroup(self, group: str, _: str) -> None:
        self.groups.append(group)

    def parallelize(self, values: range, tasks: int) -> Spark:
        assert len(values) == tasks
        self.tasks = tasks
        return self

    def barrier(self) -> Spark:
        return self

    def mapPartitions(self, work: Any) -> Spark:
        self.stages.append((self.tasks, work))
        self.given.release()
        return self

    def wait(self) -> None:
        """Wait for the next stage."""
        assert self.given.acquire(timeout=10)

    def collect(self) -> list[int]:
        if self.failure is not None:
            raise self.failure
        self.over.wait(10)
        return []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def spark() -> Iterator[Spark]:
    made = Spark()
    yield made
    made.over.set()


@pytest.fixture
def executors() -> Executors:
    return Executors()


@pytest.fixture
def newcomers(spark: Spark, executors: Executors, clock: list[float]) -> Newcomers:
    made = Newcomers(spark, executors)  # type: ignore[arg-type]
    made.known = {"0", "1"}
    return made


def test_executors_that_a_job_has_begun_with_are_ready_and_asked_nothing(
    newcomers: Newcomers, spark: Spark
) -> None:
    assert newcomers.ready(["0", "1"]) == ["0", "1"]
    assert not spark.stages


def test_a_new_executor_is_given_a_task_in_each_of_its_slots_and_is_not_ready(
    newcomers: Newcomers, spark: Spark, executors: Executors
) -> None:
    executors.each = 2
    assert newcomers.ready(["2"]) == []
    spark.wait()
    assert spark.stages == [(2, ready.wait)]
    assert spark.groups == [ASIDE]


def test_idle_executors_that_are_known_take_a_task_too_so_that_none_is_left_for_a_new_one(
    newcomers: Newcomers, spark: Spark
) -> None:
    assert newcomers.ready(["0", "2"]) == ["0"]
    spark.wait()
    assert spark.stages[0][0] == 2
    assert not newcomers.hangs("0", 5.0), "it has been given the task just now"
    assert newcomers.hangs("1", 5.0)


def test_an_executor_that_waits_for_its_node_does_not_hang(
    newcomers: Newcomers, executors: Executors, clock: list[float]
) -> None:
    newcomers.ready(["2"])
    clock[0] += 1000
    assert not newcomers.hangs("2", 5.0)
    executors.done = ["2"]
    assert newcomers.hangs("2", 5.0), "its task is a rank by now"


def test_a_rank_that_hangs_before_training_has_begun_hangs(newcomers: Newcomers) -> None:
    newcomers.known = set()
    assert newcomers.hangs("0", 5.0)


def test_a_new_executor_that_has_completed_its_task_is_ready(
    newcomers: Newcomers, executors: Executors
) -> None:
    assert newcomers.ready(["2"]) == []
    executors.done = ["2"]
    assert newcomers.ready(["2"]) == ["2"]


def test_tasks_are_not_submitted_again_while_spark_launches_them(
    newcomers: Newcomers, spark: Spark, clock: list[float]
) -> None:
    newcomers.ready(["2"])
    spark.wait()
    clock[0] += module.LAUNCHING_S / 2
    newcomers.ready(["2"])
    assert len(spark.stages) == 1

    clock[0] += module.LAUNCHING_S
    newcomers.ready(["2"])
    spark.wait()


def test_a_stage_that_spark_refuses_is_submitted_again_for_those_that_are_idle(
    newcomers: Newcomers, spark: Spark, clock: list[float]
) -> None:
    spark.failure = RuntimeError("more slots than there are\nat org.apache.spark")
    newcomers.ready(["2", "3"])
    spark.wait()
    clock[0] += module.LAUNCHING_S
    newcomers.ready(["2"])
    spark.wait()
    assert [tasks for tasks, _ in spark.stages] == [2, 1]


def test_a_host_that_stays_unready_is_told_once(
    newcomers: Newcomers, executors: Executors, clock: list[float]
) -> None:
    executors.there = ["0", "1", "2"]
    newcomers.ready(["2"])
    assert newcomers.unready() == []
    assert not newcomers.late("2", module.TOLD_S)

    clock[0] += module.TOLD_S
    assert newcomers.late("2", module.TOLD_S)
    assert newcomers.unready() == ["w2"]
    assert newcomers.unready() == []


def test_an_executor_that_took_a_task_meant_for_another_is_late_all_the_same(
    newcomers: Newcomers, executors: Executors, clock: list[float]
) -> None:
    # Spark chooses among executors: one that has just registered is never idle then.
    executors.there = ["0", "1", "2", "3"]
    newcomers.ready(["2"])
    assert not newcomers.late("3", module.TOLD_S)
    clock[0] += module.TOLD_S
    assert newcomers.late("3", module.TOLD_S)


def test_an_executor_that_is_ready_in_time_is_not_told_of(
    newcomers: Newcomers, executors: Executors, clock: list[float]
) -> None:
    executors.there = ["0", "1", "2"]
    newcomers.ready(["2"])
    executors.done = ["2"]
    clock[0] += module.TOLD_S
    assert newcomers.unready() == []

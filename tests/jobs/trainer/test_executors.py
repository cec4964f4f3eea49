"""Executors that come late, never, or again and again."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer import executors as module
from jobs.trainer.errors import TrainerError
from jobs.trainer.executors import Executors

FULL = "Unable to create executor due to ./trainer.zip:\nNo space left on device"


class Spark:
    """A driver's context: executors with their reasons if lost, and stages with their running tasks."""

    def __init__(self, wait: str = "0s", master: str = "spark://head:7077") -> None:
        self.wait, self.master, self.alive, self.lost = wait, master, 0, list[str]()
        self.stages: list[int | None] = []
        self.listed = True
        self.busy, self.killed = set[int | str](), list[str]()
        self.done, self.aside = set[int | str](), list[int]()
        """Executors that have completed tasks, and stages beside the one that is watched."""
        self.unknown: set[int | str] = set()
        """Executors whose block managers have not registered: Spark then gives their hosts alone."""
        self.cancelled = threading.Event()
        self.listings = 0
        utils = SimpleNamespace(timeStringAsSec=lambda text: int(text.removesuffix("s")))
        network = SimpleNamespace(util=SimpleNamespace(JavaUtils=utils))
        spark = SimpleNamespace(spark=SimpleNamespace(network=network))
        self._jvm = SimpleNamespace(org=SimpleNamespace(apache=spark))
        self._jsc = SimpleNamespace(sc=lambda: self)
        self.applicationId = "app-1"

    def getConf(self) -> Any:
        values = {"spark.master": self.master, module.WAIT_CONF: self.wait}
        return SimpleNamespace(getAll=values.items)

    def getExecutorMemoryStatus(self) -> Any:
        return SimpleNamespace(size=lambda: self.alive + 1)

    def statusStore(self) -> Any:
        def some(value: Any) -> Any:
            return SimpleNamespace(isDefined=lambda: value is not None, get=lambda: value)

        def executor(number: int | str, reason: str | None) -> Any:
            return SimpleNamespace(
                id=lambda: number,
                isActive=lambda: reason is None,
                maxTasks=lambda: 0 if number == "driver" else 2,
                completedTasks=lambda: 3 if number in self.done else 0,
                activeTasks=lambda: int(number in self.busy),
                removeReason=lambda: some(reason),
                hostPort=lambda: f"w{number}" if number in self.unknown else f"w{number}:40000",
                attributes=lambda: SimpleNamespace(get=lambda _: some(None)),
            )

        def listed(active: bool) -> Any:
            self.listings += 1
            found = [executor("driver", None)]
            found += [executor(1000 + number, None) for number in range(self.alive)]
            found += [] if active else [executor(number, reason) for number, reason in enumerate(self.lost)]
            return SimpleNamespace(apply=found.__getitem__, size=lambda: len(found) if self.listed else 0)

        return SimpleNamespace(executorList=listed)

    def statusTracker(self) -> Any:
        def info(number: int) -> Any:
            tasks = self.stages[number]
            return None if tasks is None else SimpleNamespace(numActiveTasks=tasks)

        def of_job(number: int) -> Any:
            return SimpleNamespace(stageIds=self.aside) if number == 7 else None

        return SimpleNamespace(
            getActiveStageIds=lambda: list(range(len(self.stages))),
            getStageInfo=info,
            getJobIdsForGroup=lambda group: [7, 8] if group == module.ASIDE else [],
            getJobInfo=of_job,
        )

    def killAndReplaceExecutor(self, number: str) -> bool:
        self.killed.append(number)
        return True

    def cancelAllJobs(self) -> None:
        self.cancelled.set()


def test_an_executor_missing_is_told_with_both_numbers() -> None:
    spark = Spark()
    spark.alive = 2
    Executors(spark).require(2)
    with pytest.raises(TrainerError) as refused:
        Executors(spark).require(3)

    assert "3 executors requested, 2 registered" in str(refused.value)
    assert "actual number of executors is not as expected" in str(refused.value)


@pytest.mark.parametrize(
    ("master", "executors"), [("local", 1), ("local[2]", 1), ("local-cluster[2,1,1024]", 0), ("yarn", 0)]
)
def test_the_driver_is_an_executor_on_a_machine_of_its_own_alone(master: str, executors: int) -> None:
    assert Executors(Spark(master=master))._registered(0) == executors
    Executors(Spark(master=master)).require(executors)


def test_executors_that_are_missing_at_the_end_are_not_waited_for() -> None:
    executors = Executors(Spark("600s"))

    assert not executors.given_up
    assert "2 executors requested, 0 registered" in str(executors.missing(2))


def test_executors_that_spark_has_lost_are_told_with_the_last_reason() -> None:
    spark = Spark()
    spark.lost = ["killed", *["?"] * 9, FULL]
    with pytest.raises(TrainerError, match=r"loses them, 11 so far, the last one on w10: .*No space left"):
        Executors(spark).require(1)


def test_an_executor_that_was_lost_before_a_stage_is_not_among_those_lost_since() -> None:
    spark = Spark()
    spark.lost = ["replaced"]
    executors = Executors(spark)
    with executors.launching():
        assert executors.removed() == []
        spark.lost += ["Command\n  exited"]

    assert executors.removed() == [("1", "w1", "Command exited")]


def test_executors_that_an_earlier_job_has_lost_are_not_told_of() -> None:
    spark = Spark()
    spark.lost = ["killed"]
    with pytest.raises(TrainerError, match="2 executors requested, 0 registered"):
        Executors(spark, earlier=True).require(2)


def test_slots_are_those_of_the_largest_executor() -> None:
    spark = Spark()
    assert Executors(spark).slots() == 0
    spark.alive = 2
    assert Executors(spark).slots() == 2


def test_an_executor_that_spark_does_not_list_yet_has_a_slot() -> None:
    spark = Spark()
    spark.listed = False
    assert Executors(spark).slots() == 1


def test_executors_that_are_all_there_are_not_waited_for() -> None:
    spark = Spark("600s")
    spark.alive = 2

    Executors(spark).require(2)
    with pytest.raises(TrainerError, match="1 executors requested, 2 registered"):
        Executors(spark).require(1)


def test_executors_are_described_by_their_hosts() -> None:
    spark = Spark()
    spark.alive = 1
    assert Executors(spark).described().executors == {"1000": {"host": "w1000", "container": ""}}


def test_a_stage_whose_tasks_run_is_left_alone() -> None:
    spark = Spark()
    spark.stages = [None, 0, 2]
    executors = Executors(spark)
    with executors.launching():
        spark.lost = ["killed"] * 100
        assert not spark.cancelled.wait(0.3)
    assert not executors.given_up


@pytest.mark.parametrize(
    ("wait", "lost", "words"),
    [
        ("0s", 0, "2 executors requested, 1 registered"),
        ("600s", 10, "No space left on device"),
    ],
    ids=["never", "again and again"],
)
def test_a_stage_that_spark_does_not_launch_is_given_up(
    monkeypatch: pytest.MonkeyPatch, wait: str, lost: int, words: str
) -> None:
    monkeypatch.setattr(module, "LEAST_S", 0)
    spark = Spark(wait)
    spark.alive, spark.stages = 1, [0]
    executors = Executors(spark)
    with executors.launching():
        spark.lost = [FULL] * lost
        assert spark.cancelled.wait(10)
    assert executors.given_up
    assert words in str(executors.missing(2))


def test_tasks_beside_a_stage_do_not_show_that_it_was_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_S", 0.0)
    spark = Spark()
    spark.stages, spark.aside = [0, 1], [1]
    executors = Executors(spark)
    with executors.launching():
        assert spark.cancelled.wait(10)
    assert executors.given_up


def test_executors_are_proven_that_have_completed_a_task() -> None:
    spark = Spark()
    spark.alive, spark.done = 2, {1001}
    assert Executors(spark).proven() == ["1001"]


def test_nine_lost_executors_are_waited_for() -> None:
    spark = Spark("600s")
    spark.stages = [0]
    with Executors(spark).launching():
        spark.lost = [FULL] * 9
        assert not spark.cancelled.wait(0.3)


def test_a_task_that_has_reported_was_launched_whatever_sparks_list_says() -> None:
    spark = Spark()
    spark.stages = [0]
    with Executors(spark).launching(lambda: True):
        spark.lost = [FULL] * 100
        assert not spark.cancelled.wait(0.3)


def test_a_short_setting_does_not_end_what_sparks_list_shows_late() -> None:
    spark = Spark("1s")
    spark.stages = [0]
    with Executors(spark).launching():
        assert not spark.cancelled.wait(2)


def test_executors_lost_before_the_stage_do_not_count() -> None:
    spark = Spark("60s")
    spark.lost, spark.stages = [FULL] * module.MOST_LOST, [0]
    with Executors(spark).launching():
        assert not spark.cancelled.wait(0.3)


def test_planning_on_the_driver_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_S", 0)
    spark = Spark()
    executors = Executors(spark)
    with executors.launching():
        assert not spark.cancelled.wait(0.3)
    assert not executors.given_up


def test_executors_that_are_lost_while_a_stage_runs_are_not_waited_for_without_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LEAST_S", 0.2)
    monkeypatch.setattr(module, "SELDOM", 0.05)
    spark = Spark()
    spark.stages = [1]
    executors = Executors(spark)
    with executors.launching():
        assert not spark.cancelled.wait(0.5)
        spark.stages = [0]
        assert spark.cancelled.wait(10)
    assert executors.given_up


def test_a_block_that_was_given_up_says_nothing_about_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_S", 0)
    spark = Spark()
    spark.stages = [0]
    executors = Executors(spark)
    with executors.launching():
        assert spark.cancelled.wait(10)
    spark.stages = []
    with executors.launching():
        pass
    assert not executors.given_up


def test_executors_are_ready_that_have_registered_and_run_no_task() -> None:
    spark = Spark()
    spark.alive, spark.lost, spark.busy = 4, [FULL], {1001, "driver"}

    assert Executors(spark).ready() == ["1000", "1002", "1003"]
    assert Executors(spark).ready({"1000", "7"}) == ["1002", "1003"]
    spark.unknown = {1003}
    assert Executors(spark).ready() == ["1000", "1002"]
    assert Executors(spark).busy() == ["1001"]
    assert Executors(spark).active() == {str(number): f"w{number}" for number in range(1000, 1004)}


def test_executors_are_listed_once_for_all_questions_of_a_look() -> None:
    spark = Spark()
    spark.alive, spark.busy = 4, {1001}
    executors = Executors(spark)
    spark.listings = 0

    with executors.looking():
        assert (executors.busy(), len(executors.ready()), executors.slots()) == (["1001"], 3, 2)
        assert (len(executors.active()), executors.proven(), spark.listings) == (4, [], 1)
    spark.alive = 2
    assert (len(executors.active()), spark.listings) == (2, 2)


def test_an_executor_that_is_replaced_is_killed_by_its_id() -> None:
    spark = Spark()

    assert Executors(spark).replace("3")
    assert spark.killed == ["3"]

"""Cause of a failed stage, from the reports of ranks and of Spark."""

from __future__ import annotations

import pytest

from jobs.trainer import contract
from jobs.trainer.contract import NATIVE, OWN, PEER, SILENT
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.blame import (
    LostExecutor,
    explain,
    hosts,
    innermost,
    is_loss,
    lost_executor,
    settled,
)
from jobs.trainer.events.journal import Journal


def two_ranks(journal: Journal) -> None:
    executors = {"0": {"host": "10.9.8.11", "container": ""}, "1": {"host": "10.9.8.12", "container": ""}}
    journal.add(contract.Executors("app-1", executors))
    journal.add(contract.RankStarted(0, "w1", "10.9.8.11"))
    journal.add(contract.RankStarted(1, "w2", "10.9.8.12"))


def failed(rank: int, origin: str, reason: str) -> contract.RankFailed:
    return contract.RankFailed(rank, f"w{rank + 1}", origin, reason)


ABORTED = Exception("Job aborted")


def test_the_cause_goes_before_its_echoes(journal: Journal) -> None:
    two_ranks(journal)
    journal.add(failed(0, PEER, "lost rank 1"))
    journal.add(failed(0, SILENT, "died"))
    journal.add(failed(1, NATIVE, "Check failed: x"))

    assert str(explain(ABORTED, journal)).startswith("rank 1 on w2: Check failed: x.")


def test_who_says_nothing_while_the_others_miss_him_is_the_lost_one(journal: Journal) -> None:
    two_ranks(journal)
    journal.add(contract.Progress(41, 50))
    journal.add(failed(0, PEER, "lost rank 1"))

    said = str(explain(ABORTED, journal))

    assert said.startswith("rank 1 on w2: its executor was lost at about iteration 41")


def barrier(rank: int, more: str = "") -> Exception:
    return Exception(
        "Job aborted due to stage failure: Could not recover from a failed barrier ResultStage. Most recent "
        f"failure reason: Stage failed because barrier task ResultTask(0, {rank}) finished unsuccessfully.\n"
        f"{more}"
    )


LOST_1 = "ExecutorLostFailure (executor 1 exited caused by one of the running tasks) Reason: Command exited"


@pytest.mark.parametrize("lost_too", [True, False])
def test_a_killed_executor_is_named_though_spark_ended_the_other_rank_without_words(
    journal: Journal, lost_too: bool
) -> None:
    two_ranks(journal)
    journal.add(failed(0, SILENT, "the worker process died without a word"))
    if lost_too:
        journal.add(failed(1, SILENT, "the worker process died without a word"))

    error = explain(barrier(1, LOST_1), journal)

    assert (error.code, error.given) == ("executor-lost", "executor 1 on w2")
    assert "iteration 0: Command exited" in error.why


def test_an_executor_that_spark_has_removed_is_the_cause_whatever_its_exception_names(
    journal: Journal,
) -> None:
    two_ranks(journal)
    journal.add(failed(0, SILENT, "the worker process died without a word"))

    error = explain(ABORTED, journal, [LostExecutor("1", "w2", "worker lost")])

    assert str(error).startswith("executor 1 on w2: it was lost at about iteration 0: worker lost.")


@pytest.mark.parametrize("error", [ABORTED, barrier(1, LOST_1.replace("executor 1", "executor 7"))])
def test_the_node_of_an_executor_without_a_rank_is_the_one_that_spark_lists(
    journal: Journal, error: Exception
) -> None:
    """A disk is full: Spark starts executors and loses them before a rank runs on them."""
    two_ranks(journal)

    assert explain(error, journal, [LostExecutor("7", "w1", "No space left")]).given == "executor 7 on w1"


def test_of_two_ranks_without_words_the_one_whose_task_failed_is_the_cause(journal: Journal) -> None:
    two_ranks(journal)
    journal.add(failed(0, SILENT, "the worker process died without a word"))
    journal.add(failed(1, SILENT, "the worker process died: out of memory"))

    assert explain(barrier(1), journal).given == "rank 1 on w2"
    assert explain(barrier(0), journal).given == "rank 0 on w1"


def test_a_rank_that_lost_a_peer_and_was_ended_afterwards_is_not_the_cause(journal: Journal) -> None:
    two_ranks(journal)
    journal.add(failed(0, PEER, "lost rank 1"))
    journal.add(failed(0, SILENT, "the worker process died without a word"))

    assert explain(barrier(0), journal).given == "rank 1 on w2"
    journal.add(failed(1, SILENT, "the worker process died without a word"))
    assert explain(barrier(0), journal).given == "rank 1 on w2"


def test_ranks_that_all_lost_each_other_blame_the_connections_between_them(journal: Journal) -> None:
    two_ranks(journal)
    journal.add(failed(0, PEER, "timed out"))
    journal.add(failed(1, PEER, "lost rank 0"))

    error = explain(barrier(0), journal)

    assert str(error).startswith("the connections between rank 0 on w1, rank 1 on w2: timed out.")


def test_a_task_that_spark_names_and_that_never_spoke_is_the_cause(journal: Journal) -> None:
    two_ranks(journal)
    journal.add(failed(0, SILENT, "the worker process died without a word"))

    assert explain(barrier(1), journal).given == "rank 1 on w2"


def test_more_news_is_waited_for_until_it_cannot_change_the_cause(journal: Journal) -> None:
    two_ranks(journal)
    assert not settled(ABORTED, journal, [])
    journal.add(failed(0, SILENT, "died"))
    assert not settled(ABORTED, journal, [])
    assert settled(ABORTED, journal, [LostExecutor("1", "w2", "lost")])
    assert settled(barrier(1, LOST_1), journal, [])
    journal.add(failed(1, OWN, "boom"))
    assert settled(ABORTED, journal, [])


def test_a_snapshot_is_what_to_go_on_from(journal: Journal) -> None:
    two_ranks(journal)
    journal.add(contract.Snapshot(50, 100, "hdfs://h/a.caffemodel", "hdfs://h/a.st"))
    journal.add(failed(1, OWN, "boom"))

    said = str(explain(ABORTED, journal))

    assert "Resume from iteration 50 with -snapshot hdfs://h/a.st -weights hdfs://h/a.caffemodel" in said


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_run_that_diverged_is_not_advised_to_go_on_without_a_change(
    journal: Journal, snapshot: bool
) -> None:
    two_ranks(journal)
    if snapshot:
        journal.add(contract.Snapshot(50, 100, "hdfs://h/a.caffemodel", "hdfs://h/a.st"))
    cause = TrainerError("training-diverged", iteration=60, loss="nan")
    journal.add(contract.RankFailed(1, "w2", OWN, str(cause), cause.code, cause.fields))

    error = explain(ABORTED, journal)

    assert (error.code, error.given) == ("training-diverged", "the loss at iteration 60")
    assert error.fix.startswith("Lower base_lr, clip gradients (clip_gradients), or check the data. ")
    assert "Run the job again" not in str(error)
    resume = "resume from iteration 50 with -snapshot hdfs://h/a.st -weights hdfs://h/a.caffemodel."
    assert error.fix.endswith(f"With that change, {resume}") == snapshot


def test_a_failed_scoring_leaves_a_model_and_nothing_to_resume(journal: Journal) -> None:
    two_ranks(journal)
    journal.add(contract.Snapshot(50, 100, "hdfs://h/a.caffemodel", "hdfs://h/a.st"))
    journal.add(failed(1, NATIVE, "Check failed: x"))

    assert explain(ABORTED, journal, [], {}).fix == "There is no snapshot to resume from. Run the job again."
    said = str(explain(ABORTED, journal, [], {"model": "hdfs://h/m"}))

    assert said == "rank 1 on w2: Check failed: x. The model is stored: score hdfs://h/m without -train."


SPARK_LOST = (
    "org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 3.0 failed 1 times, "
    "most recent failure: Lost task 0.0 in stage 3.0 (TID 4) (10.9.8.12 executor 1): ExecutorLostFailure (…"
)
SPARK_PYTHON = """Job aborted due to stage failure: Task 0 in stage 0.0 failed
Traceback (most recent call last):
  File "worker.py", line 1, in main
    process()
ValueError: no such thing

	at org.apache.spark.api.python"""


def test_without_news_from_ranks_sparks_own_message_is_read(journal: Journal) -> None:
    assert lost_executor(SPARK_LOST, []) == ("1", "10.9.8.12", "")
    assert str(explain(Exception(SPARK_LOST), journal)).startswith("executor 1 on 10.9.8.12: it was lost")
    assert innermost(SPARK_PYTHON) == "ValueError: no such thing"
    assert str(explain(Exception(SPARK_PYTHON), journal)).startswith("the stage: ValueError: no such thing")
    assert innermost("one\ntwo") == "one"
    assert lost_executor("one", []) is None


KILLED_FOR_MEMORY = (
    "An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.\n"
    ": org.apache.spark.SparkException: Job aborted due to stage failure: Could not recover from a failed "
    "barrier ResultStage. Most recent failure reason: Stage failed because barrier task ResultTask(0, 0) "
    "finished unsuccessfully.\n"
    "ExecutorLostFailure (executor 1 exited caused by one of the running tasks) Reason: Container killed by "
    "YARN for exceeding physical memory limits. 1.3 GB of 1 GB physical memory used. Consider boosting "
    "spark.executor.memoryOverhead.\n"
    "\tat org.apache.spark.scheduler.DAGScheduler.failJobAndIndependentStages(DAGScheduler.scala:2898)\n"
)


def test_an_executor_that_yarn_killed_is_named_with_yarns_reason(journal: Journal) -> None:
    executors = {"1": {"host": "w2", "container": "c"}, "2": {"host": "w1", "container": "d"}}
    journal.add(contract.Executors("a", executors))

    error = explain(RuntimeError(KILLED_FOR_MEMORY), journal)

    assert error.given == "executor 1 on w2"
    assert error.why.startswith("it was lost at about iteration 0: Container killed by YARN")


def test_javas_words_go_before_py4js() -> None:
    text = "An error occurred while calling o1.save.\n: java.io.IOException: no\n\tat x"
    assert innermost(text) == "java.io.IOException: no"
    assert innermost(text.partition("\n")[0]) == "An error occurred while calling o1.save."
    assert innermost("\n \n") == "it failed without a message"


def test_a_rank_that_hangs_is_told_with_the_seconds_and_the_step(journal: Journal) -> None:
    two_ranks(journal)
    journal.add(contract.Progress(41, 50))
    peer = "rank 0 (w1, pid 7) of 2 lost rank 1 (w2, pid 8) while averaging gradients: nothing for 120 s"
    journal.add(failed(0, PEER, peer))

    error = explain(ABORTED, journal)

    assert error.code == "rank-hung"
    assert str(error).startswith(
        "rank 1 on w2: it did not answer for 120 s while averaging gradients, at about iteration 41"
    )


def test_a_rank_that_stops_as_ranks_connect_hangs_and_is_not_lost(journal: Journal) -> None:
    two_ranks(journal)
    peer = "rank 0: no connection of rank 1 was proven while connecting to the other ranks: nothing for 120 s"
    journal.add(failed(0, PEER, peer))

    error = explain(ABORTED, journal)

    assert str(error).startswith(
        "rank 1 on w2: it did not answer for 120 s while connecting to the other ranks, at about iteration 0"
    )


def test_a_rank_that_the_driver_has_given_up_is_the_cause_whatever_others_report(journal: Journal) -> None:
    two_ranks(journal)
    journal.add(contract.RankStep(0, contract.CONNECTING))
    assert journal.silent(121.0, 120.0, alone=False) is not None
    journal.add(failed(0, PEER, "the stage was cancelled"))
    journal.add(failed(1, SILENT, "the worker process died without a word"))

    error = explain(ABORTED, journal)

    assert settled(ABORTED, journal, ())
    assert (error.code, error.fields["host"], hosts(error, journal)) == ("rank-hung", "w2", ["w2"])
    assert str(error).startswith("rank 1 on w2: it did not answer for 121 s while building its nets")
    assert is_loss(error, journal)


@pytest.mark.parametrize(
    ("code", "origin", "loss"),
    [
        ("executor-lost", "", True),
        ("rank-lost", "", True),
        ("rank-hung", "", True),
        ("ranks-disconnected", "", True),
        ("stage-failed", "", False),
        ("rank-failed", SILENT, True),
        ("rank-failed", OWN, False),
        ("rank-failed", NATIVE, False),
    ],
)
def test_a_loss_is_what_another_attempt_may_survive(
    journal: Journal, code: str, origin: str, loss: bool
) -> None:
    fields = dict.fromkeys(("executor", "host", "iteration", "reason", "ranks", "seconds", "doing"), "x")
    if origin:
        journal.add(failed(1, origin, "died"))

    assert is_loss(TrainerError(code, **fields, rank=1), journal) is loss


def test_hosts_of_a_loss_are_those_named_or_those_whose_ranks_are_silent(journal: Journal) -> None:
    two_ranks(journal)
    journal.add(failed(0, PEER, "lost rank 1"))
    named = TrainerError("executor-lost", executor="1", host="w9", iteration=1, reason="killed")

    assert hosts(named, journal) == ["w9"]
    assert hosts(TrainerError("rank-lost", ranks="rank 1", iteration=1), journal) == ["w2"]

"""The program: what it prints and how it ends, and what it learns of a failed task."""

from __future__ import annotations

import time

import pytest

from jobs.converters import main, progress
from jobs.trainer.errors import TrainerError


def test_a_wrong_command_line_ends_with_2_before_spark_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["Binary2Sequence"]) == 2
    assert capsys.readouterr().err.startswith(f"{main.FAILED}Binary2Sequence: it needs -imageRoot")


def test_a_tool_that_waits_for_the_cluster_has_said_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def waiting() -> None:
        raise TrainerError("conversion-failed", tool="t", output="o", reason="still waiting")

    monkeypatch.setattr("jobs.trainer.session.session", waiting)
    assert main.main(["LMDB2Sequence", "-imageRoot", "/a", "-output", "/b"]) == 1
    assert capsys.readouterr().out.startswith(f"{progress.PREFIX}starting Spark, which waits while others")


def test_a_tasks_own_words_are_found_in_sparks_exception() -> None:
    text = """An error occurred while calling o61.save.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 1.0 failed
Traceback (most recent call last):
  File "records.py", line 33, in record
ValueError: it is cut off

The above exception was the direct cause of the following exception:

jobs.trainer.errors.Refused: record k1 of hdfs:///l: it is cut off. Convert the data again.
\tat org.apache.spark.api.python.BasePythonRunner
"""
    assert main.reason(Exception(text)) == "record k1 of hdfs:///l: it is cut off. Convert the data again"
    assert main.reason(Exception("Connection refused\nat x")) == "Connection refused"


class Counter:
    """An accumulator of Spark."""

    value = 0

    def add(self, more: int) -> None:
        self.value += more


def test_progress_is_told_while_records_are_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "TOLD_S", 0.01)
    counter, said = Counter(), ""
    assert list(progress.counted("abc", counter)) == ["a", "b", "c"]

    with progress.told(lambda: counter.value, 1000):
        deadline = time.monotonic() + 10
        while "3 of 1,000 records" not in said and time.monotonic() < deadline:
            said += capsys.readouterr().out

    assert "convert  3 of 1,000 records\n" in said

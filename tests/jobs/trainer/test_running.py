"""Job on a running context: its shared state, and the cause of a stage that has failed."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer import contract
from jobs.trainer import running as module
from jobs.trainer.events.journal import Journal
from jobs.trainer.executors import Executors
from jobs.trainer.files.distribution import Distribution
from jobs.trainer.running import RunningJob
from tests.jobs.trainer.test_executors import Spark

OPTIONS: Any = SimpleNamespace(cluster_size=2, devices=3, train=True)


def job(folder: Path, **given: Any) -> RunningJob:
    context: Any = Spark()
    context._jsc.hadoopConfiguration = lambda: None
    journal = Journal(None, io.StringIO())
    some: Any = None
    return RunningJob(SimpleNamespace(sparkContext=context), OPTIONS, some, None, journal, folder, **given)


def test_a_job_has_a_rank_for_each_device_of_each_executor(tmp_path: Path) -> None:
    made = job(tmp_path)

    assert (made.size, made.ranks, made.model) == (2, 6, "")
    assert made.conf["spark.master"] == "spark://head:7077"
    assert isinstance(made.executors, Executors)
    assert isinstance(made.nodes, Distribution)


def test_a_further_job_of_a_context_goes_on_with_what_the_first_one_had(tmp_path: Path) -> None:
    first = job(tmp_path)

    second = job(tmp_path, nodes=first.nodes, executors=first.executors)

    assert second.nodes is first.nodes
    assert second.executors is first.executors


ABORTED = Exception("Job aborted")


def test_the_cause_is_told_as_soon_as_it_is_known(tmp_path: Path) -> None:
    made = job(tmp_path)
    made.journal.add(contract.RankStarted(1, "w2"))
    made.journal.add(contract.RankFailed(1, "w2", contract.OWN, "no disk"))

    began = time.monotonic()
    error = made.failure(ABORTED, {"model": "hdfs://h/m"})

    assert (error.code, error.fields["reason"], error.fields["model"]) == (
        "rank-failed",
        "no disk",
        "hdfs://h/m",
    )
    assert time.monotonic() - began < module.LATE_REPORTS_S


def test_reports_that_come_late_are_waited_for_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LATE_REPORTS_S", 0.2)

    began = time.monotonic()
    assert job(tmp_path).failure(ABORTED).code == "stage-failed"
    assert time.monotonic() - began > 0.2


def test_a_report_that_comes_late_is_the_cause(tmp_path: Path) -> None:
    made = job(tmp_path)
    made.journal.add(contract.RankStarted(1, "w2"))
    late = contract.RankFailed(1, "w2", contract.NATIVE, "Check failed")
    threading.Timer(0.1, made.journal.add, [late]).start()

    assert made.failure(ABORTED).fields["reason"] == "Check failed"

"""Requests for drills that cannot take place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bootstrap.cluster import S3, Cluster
from bootstrap.errors import ConfigError, JobError
from jobs.drill import request
from jobs.drill.record import Plan
from tests.jobs.specs import mnist_spec


def test_flags_choose_the_interruption() -> None:
    def plan(**flags: bool) -> Plan:
        given = {"no_notice": False, "partition": False, **flags}
        return request.planned(1, **given, notice_s=120, heal_s=60)

    assert plan().kind == "notice"
    assert plan(no_notice=True).kind == "no-notice"
    assert plan(partition=True) == Plan("partition", 1, 120.0, 60.0)
    with pytest.raises(ConfigError, match="--no-notice --partition: a partition has no notice"):
        plan(no_notice=True, partition=True)


def test_nodes_of_a_cloud_are_not_taken_away(cluster: Cluster) -> None:
    request.require_local(cluster)
    aws = cluster.model_copy(update={"provider": "aws", "stack": "prod"})
    with pytest.raises(ConfigError, match="stack 'prod': the drill takes nodes away") as refused:
        request.require_local(aws)
    assert str(refused.value).endswith("Name a local stack, such as dev.")


@pytest.mark.parametrize(
    ("plan", "changes", "words"),
    [
        (Plan(count=0), {}, "--count 0: the job has 2 executors"),
        (Plan(count=3), {}, "--count 3: the job has 2 executors"),
        (Plan(notice_s=0), {}, "--notice-seconds 0: it is not a valid duration"),
        (Plan(heal_s=-1), {}, "--partition-seconds -1: it is not a valid duration"),
        (Plan(), {"train": False, "model": "hdfs:///m"}, "train: false: the drill interrupts training"),
    ],
)
def test_a_drill_that_cannot_take_place_is_refused(plan: Plan, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        request.require_possible(plan, mnist_spec(**changes))


def test_all_executors_may_be_taken() -> None:
    request.require_possible(Plan(count=2), mnist_spec())


@pytest.mark.parametrize(
    ("workers", "plan", "words"),
    [
        (
            2,
            Plan(count=2),
            "--count 2: shared storage is HDFS on the workers, which keeps a file on 2 of them",
        ),
        (3, Plan("no-notice", count=2), "--count 2: .*it would lose files, and the framework"),
        (1, Plan(count=1), "--count 1: shared storage is HDFS on the workers, which has one"),
    ],
)
def test_workers_are_not_taken_with_the_last_copy_of_files(
    cluster: Cluster, workers: int, plan: Plan, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        request.require_copies(with_workers(cluster, workers), plan)


@pytest.mark.parametrize("plan", [Plan(count=1), Plan("partition", count=2)])
def test_workers_are_taken_where_files_have_another_copy_or_come_back(cluster: Cluster, plan: Plan) -> None:
    request.require_copies(with_workers(cluster, 2), plan)


def test_a_storage_of_its_own_survives_all_workers(cluster: Cluster) -> None:
    storage = S3(uri="s3a://x", endpoint="http://10.9.8.1:9000", access_key="a", secret_key="b")
    request.require_copies(cluster.model_copy(update={"storage": storage}), Plan(count=2))


def with_workers(cluster: Cluster, count: int) -> Cluster:
    return cluster.model_copy(update={"workers": (cluster.workers * count)[:count]})


def test_the_job_of_a_drill_has_snapshots_and_its_own_name() -> None:
    made = request.specification(mnist_spec(), on_worker_lost=None)
    assert (made.name, made.onWorkerLost, made.snapshotEvery) == ("drill", "shrink", 10.0)
    made = request.specification(mnist_spec(snapshotEvery="1 min"), on_worker_lost="wait")
    assert (made.onWorkerLost, made.snapshotEvery) == ("wait", 60.0)


@pytest.mark.parametrize(
    ("changes", "flag", "words"),
    [
        ({"onWorkerLost": "fail"}, None, "onWorkerLost: fail: training does not go on with it"),
        ({}, "fail", "onWorkerLost: fail"),
        ({}, "grow", "onWorkerLost: grow: it is not a valid value"),
    ],
)
def test_a_job_that_ends_with_its_worker_is_no_job_for_a_drill(
    changes: dict[str, Any], flag: str | None, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        request.specification(mnist_spec(**changes), on_worker_lost=flag)


def summary(folder: Path, text: str | None = None, **values: Any) -> None:
    (folder / "base-1").mkdir()
    found = {"iterations": 500, "executors": 2, "accuracy": 0.98, **values}
    (folder / "base-1" / "summary.json").write_text(json.dumps(found) if text is None else text)


def test_an_earlier_job_is_what_a_drill_is_compared_with(tmp_path: Path) -> None:
    summary(tmp_path)
    assert request.recorded("base-1", tmp_path, mnist_spec(max_iter=500)) == ("base-1", 0.98)


def test_a_job_without_an_accuracy_compares_with_nothing(tmp_path: Path) -> None:
    summary(tmp_path, accuracy=None)
    assert request.recorded("base-1", tmp_path, mnist_spec(max_iter=500)).accuracy is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"iterations": 400}, "--baseline base-1: it has 400 iterations, and the drill 500"),
        ({"executors": 1}, "--baseline base-1: it has 1 executors, and the drill 2"),
        ({"text": "[]"}, "summary.json cannot be read"),
        ({"text": "{}"}, "summary.json cannot be read"),
    ],
)
def test_a_job_of_another_size_is_not_compared(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    summary(tmp_path, **values)
    with pytest.raises(ConfigError, match=words):
        request.recorded("base-1", tmp_path, mnist_spec(max_iter=500))


def test_a_job_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--baseline nosuch-1: .*cannot be read"):
        request.recorded("nosuch-1", tmp_path, mnist_spec(max_iter=500))
    with pytest.raises(JobError, match="it is not a valid job id"):
        request.recorded("../x", tmp_path, mnist_spec(max_iter=500))

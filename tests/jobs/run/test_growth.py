"""A group that grows for a job, from the master's report to the workers that come. The group is moto's."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from typing import Any

import boto3
import pytest
from rich.console import Console

from bootstrap.cluster import S3, AutoScalingGroup, Cluster, ClusterDocument, Node
from bootstrap.errors import ConfigError, JobError
from bootstrap.inventory import autoscaling
from bootstrap.inventory import resolve as discover
from bootstrap.inventory.autoscaling import Fleet, Member, Report
from jobs.run.growth import with_room, workers_missing
from jobs.spec import JobSpec
from tests.cloud.aws_account import REGION, add_group, aws_account, read_once
from tests.conftest import HOST_KEY
from tests.jobs.specs import mnist_spec

__all__ = ["aws_account", "read_once"]

GROUP = AutoScalingGroup(
    name="workers", region=REGION, desired_capacity=1, watched=True, scales=True, max_size=4
)


def worker(number: int) -> Node:
    return Node(name=f"ip-10-40-0-{number}", address=f"10.40.0.{number}", host_key=HOST_KEY)


@pytest.fixture
def cluster(cluster_document: dict[str, Any]) -> Cluster:
    """A cluster on AWS with one worker of 4 cores and 8 GiB."""
    head = {"name": "head", "address": "10.9.8.10", "ssh_target": "i-head", "instance": "i-head"}
    shape = {**cluster_document["worker"], "cores": 4, "memory_mb": 8192, "gpus": 0}
    storage = S3(uri="s3a://bucket", region=REGION)
    document = ClusterDocument.model_validate(
        {**cluster_document, "head": head, "members": GROUP, "storage": storage, "worker": shape}
    )
    known = Node.model_validate({**head, "host_key": HOST_KEY})
    return Cluster.of(document, head=known, workers=(worker(1),))


def spec(executors: int) -> JobSpec:
    """Executors of 2 cores and 4 GiB: two fit on a worker."""
    return mnist_spec(executors=executors, cores=2, memory="4g")


def state(*free: int) -> dict[str, Any]:
    """The master's report of workers with so many free cores."""
    workers = [
        {"host": f"ip-10-40-0-{n}", "state": "ALIVE", "coresfree": cores, "memoryfree": 8192}
        for n, cores in enumerate(free, start=1)
    ]
    return {"workers": workers, "activeapps": []}


def test_a_worker_counts_for_as_many_executors_as_its_memory_is_declared_for(cluster: Cluster) -> None:
    # Spark offers the JVM's half, by which two would fit; `capacity.check` counts the trainer's half too.
    job = mnist_spec(executors=2, cores=2, memory="6g")
    assert workers_missing(state(4), cluster, job) == 1


@pytest.mark.parametrize(
    ("executors", "free", "missing"),
    [
        (2, (4,), 0),
        (3, (4,), 1),
        (6, (4,), 2),
        (7, (4,), 3),
        (2, (0,), 1),
        (2, (2,), 1),
        (2, (), 0),
        (3, (), 1),
        (4, (2, 2), 1),
    ],
)
def test_workers_are_missing_for_executors_that_find_no_room(
    executors: int, free: tuple[int, ...], missing: int, cluster: Cluster
) -> None:
    assert workers_missing(state(*free), cluster, spec(executors)) == missing


def test_a_worker_that_provisioning_starts_again_is_not_replaced_by_another(cluster: Cluster) -> None:
    dead = state(4)
    dead["workers"][0]["state"] = "DEAD"
    assert workers_missing(dead, cluster, spec(2)) == 0
    assert workers_missing(dead, cluster, spec(3)) == 1


@pytest.fixture
def scaling(aws_account: None) -> Any:
    client = boto3.client("autoscaling", region_name=REGION)
    add_group(client, GROUP.name)
    client.update_auto_scaling_group(AutoScalingGroupName=GROUP.name, MinSize=0, MaxSize=4, DesiredCapacity=1)
    return client


def desired(client: Any) -> int:
    (found,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP.name])["AutoScalingGroups"]
    return int(found["DesiredCapacity"])


def report(name: str, address: str) -> Report:
    at = datetime(2026, 11, 30, tzinfo=timezone.utc)
    given = {"version": 1, "instance": f"i-{name}", "name": name, "address": address, "host_key": HOST_KEY}
    return Report.model_validate({**given, "state": "ready", "said": "", "framework": "", "at": at})


def fleet(workers: int, wanted: int, *refusals: str) -> Fleet:
    members = [
        Member(f"i-{one.name}", "g4dn.xlarge", "a", "spot", "InService", report(one.name, one.address))
        for one in map(worker, range(1, workers + 1))
    ]
    return Fleet(report("head", "10.9.8.10"), tuple(members), wanted, refusals)


def test_the_group_grows_for_a_job_and_the_job_waits_for_its_workers(
    cluster: Cluster, scaling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [1, 2, 3]
    asked: list[Any] = []

    def look(_cluster: object, _group: object, since: Any = None) -> Fleet:
        asked.append(since)
        return fleet(looks.pop(0), desired(scaling))

    monkeypatch.setattr(autoscaling, "look", look)
    monkeypatch.setattr(discover, "POLL", 0)
    console = Console(file=io.StringIO(), width=200)
    found = with_room(cluster, spec(6), console, state=lambda _: state(4))
    assert (desired(scaling), len(found.workers), looks) == (3, 3, [])
    assert all(since is not None for since in asked), "refusals of earlier days tell nothing"
    said = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert said[0] == "workers  3 wanted for 6 executors; the group grows: 1 to 3"
    assert said[-1] == "workers  head ready; 3 ready of 3"


def test_missing_capacity_ends_the_wait_with_the_workers_that_there_are(
    cluster: Cluster, scaling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoscaling, "look", lambda *_, **__: fleet(1, 3, "12:00 UTC: no Spot capacity"))
    console = Console(file=io.StringIO(), width=200)
    found = with_room(cluster, spec(6), console, state=lambda _: state(4))
    assert len(found.workers) == 1
    assert "capacity 12:00 UTC: no Spot capacity" in console.file.getvalue()  # type: ignore[attr-defined]


def test_workers_that_will_come_on_demand_are_waited_for(
    cluster: Cluster, scaling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    falls_back = cluster.model_copy(update={"members": GROUP.model_copy(update={"fallback_seconds": 600})})
    looks = [1, 1, 3]
    dry = "12:00 UTC: no Spot capacity"
    monkeypatch.setattr(autoscaling, "look", lambda *_, **__: fleet(looks.pop(0), 3, dry))
    monkeypatch.setattr(discover, "POLL", 0)
    console = Console(file=io.StringIO(), width=200)
    assert len(with_room(falls_back, spec(6), console, state=lambda _: state(4)).workers) == 3
    said = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert f"workers  head ready; 1 ready of 3; on demand after 10 min: {dry}" in said
    assert said[-1] == "workers  head ready; 3 ready of 3"


def test_a_job_that_has_room_grows_nothing(cluster: Cluster, scaling: Any) -> None:
    assert with_room(cluster, spec(2), Console(quiet=True), state=lambda _: state(4)) is cluster
    assert desired(scaling) == 1


def test_a_job_that_is_larger_than_the_group_may_be_is_refused(cluster: Cluster, scaling: Any) -> None:
    with pytest.raises(ConfigError, match=r"has room for 8 \(4 workers"):
        with_room(cluster, spec(9), Console(quiet=True), state=lambda _: pytest.fail("not asked"))
    assert desired(scaling) == 1


def test_a_job_that_is_larger_than_what_others_leave_of_it_is_refused(cluster: Cluster, scaling: Any) -> None:
    with pytest.raises(
        JobError, match=r"it needs 5 workers besides what other jobs use, and maxWorkers is 4"
    ):
        with_room(cluster, spec(8), Console(quiet=True), state=lambda _: state(0))
    assert desired(scaling) == 1


def test_a_group_that_does_not_scale_is_not_looked_at(cluster: Cluster) -> None:
    fixed = cluster.model_copy(update={"members": GROUP.model_copy(update={"scales": False})})
    assert with_room(fixed, spec(9), Console(quiet=True), state=lambda _: pytest.fail("not asked")) is fixed

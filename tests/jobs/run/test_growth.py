"""A group that grows for a job, from the master's report to the workers that come. The group is moto's."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from bootstrap.cluster import S3, AutoScalingGroup, Cluster, ClusterDocument, Node
from bootstrap.errors import ConfigError, JobError, JobRefused, ServiceDown
from bootstrap.inventory import autoscaling
from bootstrap.inventory import resolve as discover
from bootstrap.inventory.autoscaling import Fleet, Member, Report
from jobs.run.growth import State, room, workers_missing
from jobs.spec import JobSpec
from tests.cloud.aws_account import REGION, add_group, answers, aws_account, read_once
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


def with_room(cluster: Cluster, job: JobSpec, console: Console, state: State) -> Cluster:
    """The cluster of a job that runs."""
    with room(cluster, job, console, state=state) as found:
        found.use()
        return found.cluster


def state(*free: int) -> dict[str, Any]:
    """The master's report of workers of 4 cores with so many free ones."""
    workers = [
        {
            "host": f"ip-10-40-0-{n}",
            "state": "ALIVE",
            "coresfree": cores,
            "coresused": 4 - cores,
            "memoryfree": 8192,
        }
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


def fleet(workers: int, wanted: int, *refusals: str, ids: tuple[str, ...] = ()) -> Fleet:
    members = [
        Member(instance, "g4dn.xlarge", "a", "spot", "InService", report(one.name, one.address))
        for instance, one in zip(
            ids or [f"i-{number}" for number in range(workers)],
            map(worker, range(1, workers + 1)),
            strict=True,
        )
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


def instances(client: Any) -> tuple[str, ...]:
    (found,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP.name])["AutoScalingGroups"]
    return tuple(one["InstanceId"] for one in found["Instances"] if one["LifecycleState"] == "InService")


@pytest.fixture
def seen(scaling: Any, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Lines of a command in whose group every instance is a ready node, in moto's order."""

    def look(*_: object, **__: object) -> Fleet:
        there = instances(scaling)
        return fleet(len(there), desired(scaling), ids=there)

    monkeypatch.setattr(autoscaling, "look", look)
    monkeypatch.setattr(discover, "POLL", 0)
    return io.StringIO()


@pytest.mark.parametrize(
    "refusal",
    [
        JobError("executors: 6", "Spark has room for 4 now", "Wait."),
        ServiceDown("hdfs://head:9000", "it is in safe mode", "Wait."),
        KeyboardInterrupt(),
    ],
)
def test_workers_go_when_their_job_is_refused_after_they_have_come(
    cluster: Cluster, scaling: Any, seen: io.StringIO, refusal: BaseException
) -> None:
    (first,) = instances(scaling)
    with (
        pytest.raises(type(refusal)),
        room(cluster, spec(6), Console(file=seen, width=200), state=lambda _: state(4)),
    ):
        assert desired(scaling) == 3
        raise refusal
    assert (desired(scaling), instances(scaling)) == (1, (first,))
    assert seen.getvalue().splitlines()[-1] == "workers  the job has not run; the group goes back: 3 to 1"


def test_workers_go_when_the_job_itself_refuses_to_run(
    cluster: Cluster, scaling: Any, seen: io.StringIO
) -> None:
    with (
        pytest.raises(JobRefused),
        room(cluster, spec(6), Console(file=seen, width=200), state=lambda _: state(4)) as found,
    ):
        found.use()
        raise JobRefused("the TEST source", "it is not there", "Put it there.")
    assert desired(scaling) == 1


def test_workers_stay_when_their_job_has_run(cluster: Cluster, scaling: Any, seen: io.StringIO) -> None:
    with (
        pytest.raises(JobError),
        room(cluster, spec(6), Console(file=seen, width=200), state=lambda _: state(4)) as found,
    ):
        found.use()
        raise JobError("job mnist", "a rank failed", "Look at the log.")
    assert desired(scaling) == 3


def test_a_worker_with_an_executor_is_not_ended(cluster: Cluster, scaling: Any, seen: io.StringIO) -> None:
    reports = [state(4), state(4, 0, 4)]
    with (
        pytest.raises(JobError),
        room(cluster, spec(6), Console(file=seen, width=200), state=lambda _: reports.pop(0)),
    ):
        first, second, _ = instances(scaling)
        raise JobError("executors: 6", "Spark has room for 4 now", "Wait.")
    assert instances(scaling) == (first, second)
    assert seen.getvalue().splitlines()[-1] == (
        "workers  the job has not run; the group goes back: 3 to 2; 1 in use, or not known to be free, until "
        "idleStop"
    )


def test_without_the_master_nodes_stay_as_they_may_have_executors(
    cluster: Cluster, scaling: Any, seen: io.StringIO
) -> None:
    def asked(_: Cluster) -> dict[str, Any]:
        if desired(scaling) > 1:
            raise ServiceDown("spark://head:7077", "Spark's master does not answer", "Run fab bootstrap.")
        return state(4)

    with pytest.raises(JobError), room(cluster, spec(6), Console(file=seen, width=200), state=asked):
        raise JobError("executors: 6", "it does not fit", "Wait.")
    assert desired(scaling) == 3
    assert "the group goes back: 3 to 3; 2 in use, or not known to be free" in seen.getvalue()


def test_workers_that_aws_has_not_launched_are_wanted_no_more(
    cluster: Cluster, scaling: Any, seen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = instances(scaling)
    dry = {"DesiredCapacity": 1}

    def answer(_: str, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        if operation == "UpdateAutoScalingGroup":
            dry.update(asked)
            return {}
        if operation != "DescribeAutoScalingGroups":
            return None
        there = [{"InstanceId": first, "LifecycleState": "InService"}]
        return {"AutoScalingGroups": [{**dry, "Instances": there}]}

    answers(monkeypatch, answer)
    no_capacity = "12:00 UTC: no Spot capacity"
    monkeypatch.setattr(
        autoscaling, "look", lambda *_, **__: fleet(1, dry["DesiredCapacity"], no_capacity, ids=(first,))
    )
    with (
        pytest.raises(JobError),
        room(cluster, spec(6), Console(file=seen, width=200), state=lambda _: state(4)) as found,
    ):
        assert (dry["DesiredCapacity"], len(found.cluster.workers)) == (3, 1)
        raise JobError("executors: 6", "it does not fit", "Wait.")
    assert dry["DesiredCapacity"] == 1
    assert seen.getvalue().splitlines()[-1] == "workers  the job has not run; the group goes back: 3 to 1"


def test_a_refusal_that_needs_no_workers_comes_before_the_group_grows(
    cluster: Cluster, scaling: Any, seen: io.StringIO
) -> None:
    def check() -> None:
        raise ConfigError("framework.recipe: cuda", "the workers have no GPUs", "Choose another one.")

    with (
        pytest.raises(ConfigError, match="no GPUs"),
        room(cluster, spec(6), Console(file=seen), check, lambda _: state(4)),
    ):
        pytest.fail("the job begins")
    assert (desired(scaling), seen.getvalue()) == (1, "")


def test_a_group_that_cannot_go_back_is_told_and_the_refusal_stays(
    cluster: Cluster, scaling: Any, seen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_: str, operation: str, __: object) -> dict[str, Any] | None:
        if operation == "TerminateInstanceInAutoScalingGroup":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not yours"}}, operation)
        return None

    answers(monkeypatch, answer)
    with (
        pytest.raises(JobError, match="it does not fit"),
        room(cluster, spec(6), Console(file=seen, width=300), state=lambda _: state(4)),
    ):
        raise JobError("executors: 6", "it does not fit", "Wait.")
    assert "the job has not run; the group stays as it is until idleStop: " in seen.getvalue()

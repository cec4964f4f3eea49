"""Members of an Auto Scaling group: against moto's AWS in this process, and as pure functions."""

from __future__ import annotations

import io
import json
from datetime import datetime, timezone
from typing import Any

import boto3
import pytest
from pydantic import ValidationError
from rich.console import Console

from bootstrap.cluster import S3, AutoScalingGroup, Cluster, ClusterDocument
from bootstrap.errors import StackError
from bootstrap.inventory import autoscaling as fleet
from bootstrap.inventory import resolve as discover
from bootstrap.inventory.autoscaling import Fleet, Member, Report
from tests.cloud.aws_account import REGION, add_image, aws_account, read_once
from tests.conftest import HOST_KEY

__all__ = ["aws_account", "read_once"]

BUCKET = "bucket"
GROUP = AutoScalingGroup(name="caffe-spark-aws-workers", region=REGION, desired_capacity=2)


@pytest.fixture
def group(cluster_document: dict[str, object]) -> ClusterDocument:
    """A cluster on AWS as its stack declares it: no worker is named, no host key known."""
    head = {"name": "head", "address": "10.9.8.10", "ssh_target": "i-head", "instance": "i-head"}
    storage = S3(uri=f"s3a://{BUCKET}", region=REGION)
    return ClusterDocument.model_validate(
        {**cluster_document, "head": head, "members": GROUP, "storage": storage}
    )


def report(instance: str, state: str = "ready", **changes: Any) -> Report:
    given = {
        "version": 1,
        "instance": instance,
        "name": f"ip-{instance}",
        "address": "10.40.0.77",
        "host_key": HOST_KEY,
        "state": state,
        "said": "",
        "framework": "",
        "at": datetime(2026, 11, 24, tzinfo=timezone.utc),
    }
    return Report.model_validate({**given, **changes})


def member(instance: str, state: str | None = "ready", lifecycle: str = "InService", **said: Any) -> Member:
    found = report(instance, state, **said) if state else None
    return Member(instance, "g4dn.xlarge", "eu-west-1a", "spot", lifecycle, found)


def seen(*members: Member, head: str = "ready", desired: int = 2, refusals: tuple[str, ...] = ()) -> Fleet:
    return Fleet(report("i-head", head, name="head"), members, desired, refusals)


# ---- pure


def test_ready_members_become_the_clusters_workers(group: ClusterDocument) -> None:
    found = discover.completed(group, seen(member("i-2"), member("i-1"), member("i-3", "booting")))
    assert [node.name for node in found.workers] == ["ip-i-1", "ip-i-2"]
    assert found.head.host_key == HOST_KEY
    assert found.head.address == group.head.address, "what the head says of itself does not move it"


def test_a_failed_head_is_reported_with_its_own_reason(group: ClusterDocument) -> None:
    fleet = Fleet(report("i-head", "failed", said="no mirror answers"), (), 2, ())
    with pytest.raises(StackError, match=r"no mirror answers\. .*aws ssm start-session --target i-head"):
        discover.completed(group, fleet)


def test_without_workers_the_clouds_own_reason_is_given(group: ClusterDocument) -> None:
    refusal = "12:00 UTC: Could not launch Spot Instances. UnfulfillableCapacity"
    with pytest.raises(StackError, match=r"UnfulfillableCapacity.*fab workers"):
        discover.completed(group, seen(refusals=(refusal,)))


def test_a_failed_worker_is_reported_with_its_own_reason(group: ClusterDocument) -> None:
    with pytest.raises(StackError, match="sha256 differs"):
        discover.completed(group, seen(member("i-1", "failed", said="sha256 differs")))


@pytest.mark.parametrize(
    ("fleet", "settled"),
    [
        (seen(member("i-1"), member("i-2")), True),
        (seen(member("i-1"), member("i-2", None, "Pending:Wait")), False),
        (seen(member("i-1"), member("i-2", "booting")), False),
        (seen(member("i-1"), member("i-2"), head="booting"), False),
        (seen(member("i-1")), False),
        (seen(member("i-1"), refusals=("no capacity",)), True),
        (seen(member("i-1"), member("i-2", "failed")), True),
    ],
)
def test_only_starting_machines_are_waited_for(fleet: Fleet, settled: bool) -> None:
    assert fleet.settled is settled


def test_terminating_members_are_not_used() -> None:
    assert seen(member("i-1", lifecycle="Terminating:Wait"), member("i-2", "left")).ready == ()


def test_fixed_nodes_need_no_request(cluster: Cluster, cluster_document: dict[str, object]) -> None:
    found = discover.resolve(ClusterDocument.model_validate(cluster_document), Console())
    assert found == cluster == discover.resolve(cluster, Console())
    assert [node.name for node in found.workers] == ["w1", "w2"]


def test_changes_are_printed_once_and_missing_capacity_is_not_waited_for(
    group: ClusterDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter(
        [
            seen(member("i-1", "booting"), head="booting"),
            seen(member("i-1", "booting"), head="booting"),
            seen(member("i-1"), refusals=("12:00 UTC: no Spot capacity in eu-west-1a",)),
        ]
    )
    monkeypatch.setattr(fleet, "look", lambda *_: next(looks))
    monkeypatch.setattr(discover, "POLL", 0)
    console = Console(file=io.StringIO(), width=200)
    found = discover.resolve(group, console)
    said = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(found.workers) == 1
    assert said[0] == "workers  head booting; 1 booting of 2"
    assert said[1] == "workers  head ready; 1 ready of 2"
    assert said[2:] == ["capacity 12:00 UTC: no Spot capacity in eu-west-1a"]


def test_workers_that_will_come_on_demand_are_waited_for_where_there_is_no_other(
    group: ClusterDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = GROUP.model_copy(update={"fallback_seconds": 600})
    falls_back = group.model_copy(update={"members": members})
    dry = ("12:00 UTC: no Spot capacity",)
    looks = [seen(refusals=dry), seen(member("i-1"), refusals=dry)]
    monkeypatch.setattr(fleet, "look", lambda *_: looks.pop(0))
    monkeypatch.setattr(discover, "POLL", 0)
    console = Console(file=io.StringIO(), width=200)
    found = discover.resolve(falls_back, console)
    said = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(found.workers) == 1
    assert said[0] == "workers  head ready; none of 2; on demand after 10 min: 12:00 UTC: no Spot capacity"
    looks[:] = [seen(member("i-1"), refusals=dry)]
    assert len(discover.resolve(falls_back, console).workers) == 1, "one worker can begin"
    looks[:] = [seen(refusals=dry)]
    with pytest.raises(StackError, match="no Spot capacity"):
        discover.resolve(group, console)


# ---- against moto


@pytest.fixture
def instances(aws_account: None) -> list[str]:
    """A group of two instances, and a bucket."""
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    ec2 = boto3.client("ec2", region_name=REGION)
    subnet = ec2.describe_subnets()["Subnets"][0]
    image = add_image("ami-0cccccccccccccccc")
    template = ec2.create_launch_template(
        LaunchTemplateName="t", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro"}
    )["LaunchTemplate"]
    scaling = boto3.client("autoscaling", region_name=REGION)
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP.name,
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"]},
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=2,
        VPCZoneIdentifier=subnet["SubnetId"],
    )
    found = scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
    return sorted(one["InstanceId"] for one in found)


def says(key: str, document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    boto3.client("s3", region_name=REGION).put_object(Bucket=BUCKET, Key=key, Body=body)


def test_reports_are_matched_to_instances_by_the_clouds_own_id(
    group: ClusterDocument, instances: list[str]
) -> None:
    first, second = instances
    says(
        f"cluster/nodes/AROA1:{first}/node.json",
        report(first, address=private(first)).model_dump(mode="json"),
    )
    # A report under the key of another machine: its claimed instance id is ignored.
    says(f"cluster/nodes/AROA1:{second}/node.json", report(first, name="head").model_dump(mode="json"))
    says("cluster/nodes/AROA2:i-head/node.json", report("i-head", name="head").model_dump(mode="json"))
    says("cluster/nodes/AROA1:i-gone/node.json", report("i-gone").model_dump(mode="json"))
    found = fleet.look(group, GROUP)
    assert found.head is not None
    assert found.head.instance == "i-head"
    states = {member.instance: member.state for member in found.members}
    assert states == {first: "ready", second: "starting"}
    assert (found.desired_capacity, found.refusals) == (2, ())
    assert discover.completed(group, found).workers[0].name == f"ip-{first}"


def test_a_machine_that_has_failed_is_told_with_where_its_log_lies(
    group: ClusterDocument, instances: list[str]
) -> None:
    first, second = instances
    for one, state in ((first, "failed"), (second, "ready")):
        said = report(one, state, address=private(one), said="no numpy" if state == "failed" else "")
        says(f"cluster/nodes/AROA1:{one}/node.json", said.model_dump(mode="json"))
        says(f"cluster/nodes/AROA1:{one}/boot.log", {})
    head = report("i-head", "failed", name="head", said="no mirror answers")
    says("cluster/nodes/AROA2:i-head/node.json", head.model_dump(mode="json"))
    found = fleet.look(group, GROUP)
    assert found.news == (
        "head (i-head) failed: no mirror answers",
        f"ip-{first} ({first}) failed: no numpy; its log: "
        f"`aws s3 cp s3://{BUCKET}/cluster/nodes/AROA1:{first}/boot.log -`",
    )


def private(instance: str) -> str:
    """Private address of an instance."""
    ec2 = boto3.client("ec2", region_name=REGION)
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return str(found["PrivateIpAddress"])


def test_a_machine_that_reports_another_address_or_anothers_name_is_refused_with_the_reason(
    group: ClusterDocument, instances: list[str]
) -> None:
    first, second = sorted(instances)
    said = report(first, address=private(first), name="head")
    says(f"cluster/nodes/AROA1:{first}/node.json", said.model_dump(mode="json"))
    said = report(second, address=private(first))
    says(f"cluster/nodes/AROA1:{second}/node.json", said.model_dump(mode="json"))
    found = fleet.look(group, GROUP)
    assert [member.state for member in found.members] == ["refused", "refused"]
    assert found.ready == ()
    news = "\n".join(found.news)
    assert f"{first} refused: it reports the name head, which another machine has" in news
    assert f"it reports the address {private(first)}, and EC2 states {private(second)}" in news


@pytest.mark.parametrize(
    "evil",
    [
        {"name": "w9$(touch /owned)"},
        {"name": "../../x"},
        {"name": "-oProxyCommand=id"},
        {"name": "w9\nw1"},
        {"address": "10.0.0.7; id"},
        {"address": "-w"},
        {"host_key": "ssh-ed25519 AAAA\n10.0.0.8 ssh-ed25519 BBBB"},
        {"host_key": "command=id ssh-ed25519 AAAA"},
        {"framework": "$(id)"},
    ],
)
def test_a_report_that_a_shell_or_a_path_could_misread_is_none(evil: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        report("i-1", **evil)


def test_a_report_of_another_version_counts_as_none(group: ClusterDocument, instances: list[str]) -> None:
    says(f"cluster/nodes/AROA1:{instances[0]}/node.json", {"version": 2})
    assert {member.report for member in fleet.look(group, GROUP).members} == {None}


def test_a_report_that_is_longer_than_a_machines_counts_as_none(
    group: ClusterDocument, instances: list[str]
) -> None:
    first, second = instances
    # Read whole, it would be a valid report.
    said = report(first, address=private(first), said="x" * fleet.LONGEST)
    says(f"cluster/nodes/AROA1:{first}/node.json", said.model_dump(mode="json"))
    said = report(second, address=private(second))
    says(f"cluster/nodes/AROA1:{second}/node.json", said.model_dump(mode="json"))

    states = {member.instance: member.state for member in fleet.look(group, GROUP).members}

    assert states == {first: "starting", second: "ready"}


def test_a_missing_group_is_named(group: ClusterDocument, aws_account: None) -> None:
    with pytest.raises(StackError, match=r"no Auto Scaling group caffe-spark-aws-workers.*pulumi up"):
        fleet.look(group, GROUP)

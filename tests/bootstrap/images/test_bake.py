"""`fab bake-image` against moto's AWS; the node is a stand-in, which reports as a new machine does."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.ec2.models.amis import Ami, AmiBackend
from rich.console import Console

from bootstrap.cluster import S3, AutoScalingGroup, ClusterDocument, HdInsight
from bootstrap.errors import ConfigError, ServiceDown, StackError
from bootstrap.images import bake, donor, generalize, image
from bootstrap.inventory import autoscaling
from bootstrap.ssh.remote import Result
from infra import tags
from infra.aws.preflight import images as preflight
from tests.cloud.aws_account import REGION, add_image, answers, aws_account, read_once
from tests.conftest import HOST_KEY
from tests.host_keys import host_key

__all__ = ["aws_account", "read_once"]

BUCKET, STACK, BASE = "bucket", "aws", "ami-0cccccccccccccccc"
GROUP = AutoScalingGroup(name="caffe-spark-aws-workers", region=REGION, desired_capacity=2)
KEYS = {"Project": "caffe-spark", "Stack": STACK, "Team": "vision"}
CREATE = AmiBackend.create_image
HAS = "distribution=ubuntu-22.04\nframework=0123abcd\nnvidia=yes\n"


@dataclass
class Account:
    """The stack's group of two workers, their nodes, and what was called."""

    document: ClusterDocument
    has: dict[str, str] = field(default_factory=dict)
    """Worker → what its node says of itself; HAS by default."""
    cleaned: Result = field(default_factory=lambda: Result(0, "", ""))
    after: str = "ready"
    """State that a rebooted worker reports; empty if it does not."""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    said: io.StringIO = field(default_factory=io.StringIO)
    pinned: list[str] = field(default_factory=list)
    scripts: list[tuple[str, str]] = field(default_factory=list)

    def client(self, service: Any) -> Any:
        return boto3.client(service, region_name=REGION)

    @property
    def instances(self) -> list[str]:
        (group,) = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        return sorted(one["InstanceId"] for one in group["Instances"])

    @property
    def desired(self) -> int:
        (group,) = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        return int(group["DesiredCapacity"])

    def states(self) -> list[str]:
        found = self.client("autoscaling").describe_auto_scaling_instances()["AutoScalingInstances"]
        return sorted(one["LifecycleState"] for one in found)

    def report(self, instance: str, state: str = "ready", **changes: str) -> None:
        address = "10.9.8.10"
        if instance != "i-head":
            described = self.client("ec2").describe_instances(InstanceIds=[instance])
            address = described["Reservations"][0]["Instances"][0]["PrivateIpAddress"]
        said = {
            "version": 1,
            "instance": instance,
            "name": "head" if instance == "i-head" else f"ip-{instance}",
            "address": address,
            "host_key": HOST_KEY,
            "state": state,
            "said": "",
            "framework": "",
            "at": "2026-11-30T12:00:00Z",
            **changes,
        }
        key = f"cluster/nodes/AROA1:{instance}/node.json"
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(said).encode())

    @contextmanager
    def connect(self, _: object, node: Any) -> Iterator[Any]:
        def run(script: str, **_: object) -> Result:
            self.scripts.append((node.name, script))
            looks = script == generalize.look()
            return Result(0, self.has.get(node.name, HAS), "") if looks else self.cleaned

        yield SimpleNamespace(node=node, run=run)

    def bake(self, worker: str | None = None) -> image.Image:
        console = Console(file=self.said, width=200)
        return bake.bake(self.document, console, pin=self.pinned.append, worker=worker, connect=self.connect)

    def operations(self) -> list[str]:
        watched = ("EnterStandby", "ExitStandby", "CreateImage", "TerminateInstanceInAutoScalingGroup")
        return [name for name, _ in self.calls if name in watched]


@pytest.fixture
def account(
    cluster_document: dict[str, object], aws_account: None, monkeypatch: pytest.MonkeyPatch
) -> Account:
    head = {"name": "head", "address": "10.9.8.10", "ssh_target": "i-head", "instance": "i-head"}
    changes = {"stack": STACK, "head": head, "members": GROUP}
    storage = S3(uri=f"s3a://{BUCKET}", region=REGION)
    document = ClusterDocument.model_validate({**cluster_document, **changes, "storage": storage})
    made = Account(document)
    made.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    ec2 = made.client("ec2")
    add_image(BASE)
    listed = [{"Key": key, "Value": value} for key, value in KEYS.items()]
    template = ec2.create_launch_template(
        LaunchTemplateName="t",
        LaunchTemplateData={"ImageId": BASE, "InstanceType": "t3.micro"},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": listed}],
    )["LaunchTemplate"]
    made.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=GROUP.name,
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": "$Default"},
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=2,
        VPCZoneIdentifier=ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        Tags=[{**tag, "PropagateAtLaunch": True} for tag in listed],
    )
    for instance in (*made.instances, "i-head"):
        made.report(instance)

    def create_image(
        self: AmiBackend, instance: str, name: str, about: str, tag_specifications: list[dict[str, Any]]
    ) -> Ami:
        # moto knows no tags of an image's snapshots.
        kept = [one for one in tag_specifications if one["ResourceType"] != "snapshot"]
        return CREATE(self, instance, name, about, kept)

    monkeypatch.setattr(AmiBackend, "create_image", create_image)
    for module in (bake, donor, image):
        monkeypatch.setattr(module, "POLL", 0)

    monkeypatch.setattr(bake, "REJOINING_S", 20)

    def answer(_: str, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        made.calls.append((operation, asked))
        if operation == "CreateImage" and made.after:
            reason = {"said": "numpy is missing"} if made.after == "failed" else {}
            made.report(
                asked["InstanceId"], made.after, host_key=host_key(f"boot {len(made.calls)}"), **reason
            )
        return None

    answers(monkeypatch, answer)
    return made


def test_an_image_of_a_free_worker_is_made_and_pinned_and_the_worker_is_back(account: Account) -> None:
    made = account.bake()
    first, _ = account.instances
    assert account.pinned == [made.id]
    assert account.operations() == ["EnterStandby", "CreateImage", "ExitStandby"]
    assert [name for name, _ in account.scripts] == [f"ip-{first}", f"ip-{first}"]
    assert (account.states(), account.desired) == (["InService", "InService"], 2)
    said = account.said.getvalue()
    assert f"{made} is workerAmi in Pulumi.aws.yaml" in said
    assert "Next: `pulumi up --stack aws`" in said


def test_the_worker_is_rebooted_for_it_on_standby_and_none_comes_in_its_place(account: Account) -> None:
    account.bake()
    asked = dict(account.calls)
    assert asked["CreateImage"]["NoReboot"] is False
    assert asked["EnterStandby"]["ShouldDecrementDesiredCapacity"] is True


def test_image_and_snapshots_have_the_stacks_tags_and_say_what_is_in_them(account: Account) -> None:
    account.bake()
    both = dict(account.calls)["CreateImage"]["TagSpecifications"]
    assert [one["ResourceType"] for one in both] == ["image", "snapshot"]
    for one in both:
        found = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        assert KEYS.items() <= found.items()
        assert (found["Framework"], found["BaseImage"], found["Role"]) == ("0123abcd", BASE, "worker")
        assert not [key for key in found if key.startswith("aws:")], "AWS refuses such keys"


def test_preflight_reads_distribution_and_driver_in_the_name(account: Account) -> None:
    name = account.bake().name
    read = preflight.Image("ami-1", True, name, "x86_64", "available", "/dev/sda1", 8)
    assert read.distribution == "ubuntu-22.04"
    assert "nvidia" in name
    assert len(name) <= 128


def test_a_worker_with_a_job_is_passed_over(account: Account) -> None:
    first, second = account.instances
    account.has[f"ip-{first}"] = HAS + "busy=yes\n"
    account.bake()
    assert dict(account.calls)["CreateImage"]["InstanceId"] == second


def test_where_jobs_run_on_all_workers_nothing_is_touched(account: Account) -> None:
    account.has.update({f"ip-{one}": HAS + "busy=yes\n" for one in account.instances})
    with pytest.raises(StackError, match="jobs run on all of its 2 ready workers"):
        account.bake()
    assert account.operations() == []


def test_a_named_worker_must_be_ready(account: Account) -> None:
    first, second = account.instances
    account.report(second, "booting")
    with pytest.raises(ConfigError, match=rf"valid names: ip-{first}\. "):
        account.bake(f"ip-{second}")
    account.has[f"ip-{first}"] = HAS + "busy=yes\n"
    with pytest.raises(StackError, match=f"a job runs on ip-{first}"):
        account.bake(f"ip-{first}")


def test_a_worker_without_a_framework_is_no_model(account: Account) -> None:
    account.has[f"ip-{account.instances[0]}"] = "distribution=ubuntu-22.04\nframework=\n"
    with pytest.raises(StackError, match=r"no framework is installed.*fab build-headnode"):
        account.bake()


def test_a_group_that_may_not_be_smaller_is_refused_with_the_setting(account: Account) -> None:
    account.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=GROUP.name, MinSize=2)
    with pytest.raises(StackError, match="pulumi config set minWorkers 1 --stack aws"):
        account.bake()
    assert account.operations() == []


@pytest.mark.parametrize("code", [generalize.BUSY, generalize.UNSUITABLE])
def test_a_worker_that_was_left_alone_goes_back_into_service(account: Account, code: int) -> None:
    account.cleaned = Result(code, "", "a job has executors on this node")
    with pytest.raises(StackError, match="a job has executors"):
        account.bake()
    assert account.operations() == ["EnterStandby", "ExitStandby"]
    assert account.states() == ["InService", "InService"]


def test_a_worker_half_without_identity_is_replaced(account: Account) -> None:
    first = account.instances[0]
    account.cleaned = Result(1, "", "disk full")
    with pytest.raises(StackError, match="disk full"):
        account.bake()
    assert account.operations()[-1] == "TerminateInstanceInAutoScalingGroup"
    assert first not in account.instances
    assert account.desired == 2
    assert account.pinned == []


def test_an_image_with_which_the_worker_does_not_join_is_not_pinned(account: Account) -> None:
    first, account.after = account.instances[0], "failed"
    with pytest.raises(StackError, match="with the image it could not join again: numpy is missing"):
        account.bake()
    assert (account.pinned, account.desired) == ([], 2)
    assert first not in account.instances
    assert "is not pinned; `fab bake-image --remove --stack aws` removes it" in account.said.getvalue()


def test_a_worker_that_stays_away_is_replaced(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.after = ""
    monkeypatch.setattr(bake, "REJOINING_S", 0)
    with pytest.raises(StackError, match="it has not joined again"):
        account.bake()
    assert account.operations()[-1] == "TerminateInstanceInAutoScalingGroup"


def test_a_worker_that_does_not_come_back_into_service_ends(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = account.instances[0]
    refusal = ServiceDown("AWS", "the desired capacity would be above the greatest size", "Rerun.")

    def refuse(_: donor.Standby) -> None:
        raise refusal

    monkeypatch.setattr(donor.Standby, "_exit", refuse)
    with pytest.raises(ServiceDown, match="above the greatest size"):
        account.bake()
    assert first not in account.instances
    assert f"{first} does not leave standby" in account.said.getvalue()


def test_a_worker_that_aws_has_taken_back_is_told(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    look, looks = autoscaling.look, [0]

    def gone(*given: Any) -> autoscaling.Fleet:
        looks[0] += 1
        found = look(*given)
        members = found.members[1:] if looks[0] > 1 else found.members
        return autoscaling.Fleet(found.head, members, found.desired_capacity, found.refusals)

    monkeypatch.setattr(autoscaling, "look", gone)
    with pytest.raises(StackError, match="AWS has taken it back"):
        account.bake()
    assert account.pinned == []


def test_the_launch_hook_of_a_worker_that_comes_back_is_completed(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, completed = [1], list[dict[str, Any]]()

    def answer(_: str, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        if operation == "CreateImage":
            account.report(asked["InstanceId"], host_key=host_key("second boot"))
        if operation == "ExitStandby":
            waits[0] = 2
        if operation == "DescribeAutoScalingInstances" and waits[0] == 2 and not completed:
            state = {"InstanceId": asked["InstanceIds"][0], "LifecycleState": "Pending:Wait"}
            return {"AutoScalingInstances": [state]}
        if operation == "CompleteLifecycleAction":
            completed.append(asked)
            return {}
        return None

    answers(monkeypatch, answer)
    account.bake()
    assert [one["LifecycleHookName"] for one in completed] == ["joining"]
    assert completed[0]["LifecycleActionResult"] == "CONTINUE"


def removed(account: Account, pinned: str = "") -> tuple[int, str]:
    said = io.StringIO()
    return bake.remove(account.document, Console(file=said, width=200), pinned=pinned), said.getvalue()


def test_older_images_go_with_their_snapshots_and_the_pinned_one_stays(account: Account) -> None:
    older, newer = account.bake(), account.bake()
    count, said = removed(account, newer.id)
    assert count == 1
    assert f"removed  {older}" in said
    assert f"keeps    {newer}: it is workerAmi in Pulumi.aws.yaml" in said
    ec2 = account.client("ec2")
    assert [one.id for one in image.listed(ec2, STACK)] == [newer.id]
    left = {one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert not left & set(older.snapshots)
    assert set(newer.snapshots) <= left


def test_an_image_that_new_workers_boot_from_stays_until_another_up(account: Account) -> None:
    used = account.bake()
    ec2 = account.client("ec2")
    (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
    ec2.create_launch_template_version(
        LaunchTemplateId=template["LaunchTemplateId"],
        LaunchTemplateData={"ImageId": used.id, "InstanceType": "t3.micro"},
    )
    count, said = removed(account, "ami-another")
    assert count == 0
    assert f"keeps    {used}: new workers boot from it until `pulumi up --stack aws`" in said


def test_images_of_other_stacks_are_not_ours(account: Account) -> None:
    account.bake()
    assert image.listed(account.client("ec2"), "another") == []
    count, said = removed(account.__class__(account.document.model_copy(update={"stack": "another"})))
    assert (count, said.strip()) == (0, "stack another has no baked image that could be removed")


@pytest.mark.parametrize(("state", "words"), [("failed", "it is failed: no space"), (None, "it is gone")])
def test_an_image_that_aws_cannot_make_is_told_with_its_reason(
    account: Account, monkeypatch: pytest.MonkeyPatch, state: str | None, words: str
) -> None:
    one = {"ImageId": "ami-1", "State": state, "StateReason": {"Message": "no space"}}
    found = {"Images": [one] if state else []}
    answers(monkeypatch, lambda _, operation, __: found if operation == "DescribeImages" else None)
    with pytest.raises(StackError, match=words):
        image.wait(account.client("ec2"), "ami-1", STACK, print)


def test_progress_is_said_once_for_each_change(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": "snap-1", "VolumeSize": 100}}
    progress, states = ["10%", "10%", "80%"], ["pending", "pending", "pending", "available"]

    def answer(_: str, operation: str, __: dict[str, Any]) -> dict[str, Any] | None:
        if operation == "DescribeImages":
            one = {"ImageId": "ami-1", "Name": "n", "State": states.pop(0), "BlockDeviceMappings": [disk]}
            return {"Images": [one]}
        if operation == "DescribeSnapshots":
            return {"Snapshots": [{"SnapshotId": "snap-1", "Progress": progress.pop(0)}]}
        return None

    answers(monkeypatch, answer)
    said: list[str] = []
    done = image.wait(account.client("ec2"), "ami-1", STACK, said.append)
    assert said == ["ami-1 pending, snap-1 10%", "ami-1 pending, snap-1 80%"]
    assert str(done) == "ami-1 (n, 100 GB)"


def test_hdinsight_and_local_stacks_are_refused_with_the_reason(account: Account) -> None:
    members = HdInsight(
        subscription="s", resource_group="r", name="n", region="westeurope", artifacts="a", worker_count=3
    )
    on_azure = account.document.model_copy(update={"members": members})
    with pytest.raises(ConfigError, match="not possible, because HDInsight boots its nodes from Microsoft's"):
        bake.group_of(on_azure)
    local = SimpleNamespace(members=None, stack="dev")
    with pytest.raises(ConfigError, match="its nodes are containers"):
        bake.group_of(local)  # type: ignore[arg-type]


def test_the_pinned_image_is_read_of_the_stacks_file(tmp_path: Path) -> None:
    assert bake.pinned_image(tmp_path, "x") == ""
    (tmp_path / "Pulumi.x.yaml").write_text("config:\n  caffe-spark:workerAmi: ami-1\n")
    assert bake.pinned_image(tmp_path, "x") == "ami-1"


@pytest.mark.parametrize("code", [0, 255])
def test_the_image_is_pinned_by_pulumi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int) -> None:
    asked: list[tuple[str, ...]] = []

    def ask(_: Path, __: object, *arguments: str) -> subprocess.CompletedProcess[str]:
        asked.append(arguments)
        return subprocess.CompletedProcess(arguments, code, "", "error: no stack named x found\n")

    monkeypatch.setattr(bake, "ask", ask)
    if code:
        with pytest.raises(
            StackError, match=r"no stack named x.*pulumi config set workerAmi ami-1 --stack x"
        ):
            bake.pin_image(tmp_path, "x", {}, "ami-1")
    else:
        bake.pin_image(tmp_path, "x", {}, "ami-1")
    words = "config set --plaintext caffe-spark:workerAmi ami-1 --stack x"
    assert asked == [tuple(words.split())]


def test_tags_are_those_of_the_whole_stack() -> None:
    ours = {image.PROJECT_TAG: image.PROJECT, image.STACK_TAG: STACK}
    assert ours.items() <= tags.cloud_tags(STACK).items()
    same = (preflight.BASE, preflight.SPARK, preflight.FRAMEWORK)
    assert same == (image.BASE, image.SPARK, image.FRAMEWORK)

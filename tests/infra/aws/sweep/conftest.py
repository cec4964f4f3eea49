"""An AWS account in this process (moto), what a stack may leave in it, and one place to refuse calls."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from bootstrap.clouds import aws
from infra.aws.cost import prices
from infra.aws.sweep.run import sweep
from infra.sweep.leak import Leak
from infra.sweep.report import SweepResult
from tests.cloud.aws_account import REGION, answers
from tests.offline import no_credentials, offline

__all__ = ["REGION", "no_credentials", "offline"]

STACK = "demo"
WITHOUT_STACK = [{"Key": "Project", "Value": "caffe-spark"}]
OURS = [*WITHOUT_STACK, {"Key": "Stack", "Value": STACK}]
THEIRS = [{"Key": "Project", "Value": "another"}, {"Key": "Stack", "Value": STACK}]
NOTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
)
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})

Tags = list[dict[str, str]]


@dataclass
class World:
    """The account. `refuse` puts an answer of AWS in the place of moto's."""

    session: boto3.session.Session
    refusals: dict[tuple[str, str], BaseException] = field(default_factory=dict)
    # Moto knows no placement groups.
    answers: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"DescribePlacementGroups": {"PlacementGroups": []}}
    )
    """Operation → what AWS answers instead of moto."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(operation, region) of every call."""

    def client(self, service: str, region: str = REGION) -> Any:
        session: Any = self.session
        return session.client(service, region_name=region)

    def ec2(self, region: str = REGION) -> Any:
        return self.client("ec2", region)

    def refuse(self, operation: str, code: str, region: str = "", message: str = "no") -> None:
        error = ClientError({"Error": {"Code": code, "Message": message}}, operation)
        self.refusals[operation, region] = error

    def hear(self, operation: str, region: str) -> None:
        self.asked.append((operation, region))
        for key in ((operation, region), (operation, ""), ("", region)):
            if key in self.refusals:
                raise self.refusals[key]

    # What a stack may leave.

    def spec(self, kind: str, tags: Tags) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": tags}]

    def instance(self, tags: Tags = OURS, region: str = REGION, **more: Any) -> str:
        asked = {
            "ImageId": "ami-12c6146b",
            "InstanceType": "m6i.xlarge",
            "MinCount": 1,
            "MaxCount": 1,
            **more,
        }
        made = self.ec2(region).run_instances(TagSpecifications=self.spec("instance", tags), **asked)
        return str(made["Instances"][0]["InstanceId"])

    def volume(self, tags: Tags = OURS, region: str = REGION, size: int = 100) -> str:
        made = self.ec2(region).create_volume(
            AvailabilityZone=f"{region}a",
            Size=size,
            VolumeType="gp3",
            TagSpecifications=self.spec("volume", tags),
        )
        return str(made["VolumeId"])

    def vpc(self, tags: Tags = OURS, region: str = REGION) -> str:
        made = self.ec2(region).create_vpc(CidrBlock="10.40.0.0/16", TagSpecifications=self.spec("vpc", tags))
        return str(made["Vpc"]["VpcId"])

    def subnet(self, vpc: str, tags: Tags = OURS) -> str:
        made = self.ec2().create_subnet(
            VpcId=vpc, CidrBlock="10.40.0.0/20", TagSpecifications=self.spec("subnet", tags)
        )
        return str(made["Subnet"]["SubnetId"])

    def security_group(self, vpc: str, name: str, tags: Tags = OURS) -> str:
        made = self.ec2().create_security_group(
            GroupName=name, Description="d", VpcId=vpc, TagSpecifications=self.spec("security-group", tags)
        )
        return str(made["GroupId"])

    def address(self, tags: Tags = OURS, region: str = REGION) -> str:
        made = self.ec2(region).allocate_address(
            Domain="vpc", TagSpecifications=self.spec("elastic-ip", tags)
        )
        return str(made["AllocationId"])

    def bucket(self, name: str, tags: Tags | None = OURS, region: str = REGION) -> str:
        s3 = self.client("s3", region)
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **where)
        if tags is not None:
            s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
        return name

    def role(self, name: str, tags: Tags = OURS) -> str:
        self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, Tags=tags)
        return name

    def launch_template(self, tags: Tags = OURS) -> str:
        made = self.ec2().create_launch_template(
            LaunchTemplateName="caffe-spark-demo-worker",
            LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "g4dn.xlarge"},
            TagSpecifications=self.spec("launch-template", tags),
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def group(self, template: str, tags: Tags = OURS, size: int = 1) -> str:
        self.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName="caffe-spark-demo-workers",
            LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
            MinSize=0,
            MaxSize=4,
            DesiredCapacity=size,
            AvailabilityZones=[f"{REGION}a"],
            Tags=[{**tag, "PropagateAtLaunch": True} for tag in tags],
        )
        return "caffe-spark-demo-workers"


@pytest.fixture(scope="session")
def clients() -> boto3.session.Session:
    """One for all: each new session reads the services' descriptions again, which takes seconds."""
    return boto3.session.Session(aws_access_key_id="testing", aws_secret_access_key="testing")


@pytest.fixture
def world(
    no_credentials: None,
    aws_account: None,
    clients: boto3.session.Session,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> World:
    """An account with nothing of ours in it, and credentials for it."""
    monkeypatch.setattr(aws, "session", lambda: clients)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv(prices.VARIABLE, raising=False)
    made = World(clients)

    def answer(region: str, operation: str, _: dict[str, Any]) -> dict[str, Any] | None:
        made.hear(operation, region)
        return made.answers.get(operation)

    answers(monkeypatch, answer)
    return made


@dataclass(frozen=True)
class Swept:
    """A sweep's result and output."""

    found: SweepResult
    said: str

    @property
    def leaks(self) -> dict[str, Leak]:
        """By id."""
        return {leak.id: leak for leak in self.found.leaks}

    @property
    def kinds(self) -> list[str]:
        return sorted(leak.kind for leak in self.found.leaks)

    def the(self, kind: str) -> Leak:
        (one,) = [leak for leak in self.found.leaks if leak.kind == kind]
        return one


def swept(
    stack: str | None = None, regions: Sequence[str] | None = (REGION,), alive: Sequence[str] = ()
) -> Swept:
    said = io.StringIO()
    found = sweep(stack, regions, Console(file=said, width=200), alive=alive)
    return Swept(found, said.getvalue())

"""The members of a worker group: the cloud's list of instances, and what each machine says of itself.

A machine reports its name, address, host key and state under `cluster/nodes/` of the bucket, where only it
may write (see `bootstrap.join.on_node.boot`); the instance's id in the key is the cloud's word, not its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bootstrap import paths
from bootstrap.clouds import aws
from bootstrap.cluster import AutoScalingGroup, ClusterDocument
from bootstrap.errors import StackError

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef
    from mypy_boto3_s3 import S3Client

RECENT: Final = 10
"""Activities of the group that are looked at."""
HERE: Final = ("Pending", "Pending:Wait", "Pending:Proceed", "InService")
"""Lifecycle states of members that are there, or on their way; the others are leaving."""

State = Literal["booting", "ready", "failed", "leaving", "left"]


class Report(BaseModel):
    """What a machine says of itself; `said` is why it failed or leaves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    instance: str
    name: str
    address: str
    host_key: str
    state: State
    said: str
    framework: str
    at: datetime


@dataclass(frozen=True)
class Member:
    """An instance of the group; `market` is `spot` or `on-demand`; no report: it has said nothing yet."""

    instance: str
    type: str
    zone: str
    market: str
    lifecycle: str
    report: Report | None

    @property
    def state(self) -> str:
        """In one word, how far it is."""
        if self.lifecycle not in HERE:
            return "leaving"
        return self.report.state if self.report else "starting"


@dataclass(frozen=True)
class Fleet:
    """The head's report, the group's members, and why the group could not grow (newest first)."""

    head: Report | None
    members: tuple[Member, ...]
    desired_capacity: int
    refusals: tuple[str, ...]

    @property
    def ready(self) -> tuple[Member, ...]:
        """Those that jobs can use."""
        return tuple(member for member in self.members if member.state == "ready")

    @property
    def coming(self) -> tuple[Member, ...]:
        """Those that are still on their way."""
        return tuple(member for member in self.members if member.state in ("starting", "booting"))

    @property
    def news(self) -> tuple[str, ...]:
        """Lines for people: what machines say of their failures, then the group's own words."""
        machines = [self.head] if self.head else []
        machines += [member.report for member in self.members if member.report]
        said = [f"{one.name} ({one.instance}) {one.state}: {one.said}" for one in machines if one.said]
        return (*said, *(f"{self.desired_capacity} wanted; {refusal}" for refusal in self.refusals))

    @property
    def settled(self) -> bool:
        """Nothing changes by waiting: the head is up or failed, and nobody is on the way.

        Members that the group lacks are waited for until it has said why it has none.
        """
        if self.head is None or self.head.state == "booting" or self.coming:
            return False
        return len(self.members) >= self.desired_capacity or bool(self.refusals)


def look(cluster: ClusterDocument, group: AutoScalingGroup) -> Fleet:
    """Ask AWS and the bucket, once.

    Raises:
        StackError: there is no such group.
        ConfigError, ServiceDown: AWS refuses, or cannot be reached.
    """
    session, region = aws.session(), group.region
    with aws.translate_errors(f"looking at the Auto Scaling group {group.name}"):
        scaling = session.client("autoscaling", region_name=region, config=aws.RETRY)
        found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group.name])["AutoScalingGroups"]
        if not found:
            raise StackError(
                f"stack {cluster.stack!r}",
                f"region {region} has no Auto Scaling group {group.name}",
                f"Run `pulumi up --stack {cluster.stack}`.",
            )
        activities = scaling.describe_scaling_activities(AutoScalingGroupName=group.name, MaxRecords=RECENT)
        ids = [member["InstanceId"] for member in found[0]["Instances"]]
        instances = _instances(session.client("ec2", region_name=region, config=aws.RETRY), ids)
    bucket = cluster.shared_storage.removeprefix("s3a://")
    with aws.translate_errors(f"reading s3://{bucket}/{paths.NODES}/"):
        client = session.client("s3", region_name=region, config=aws.RETRY)
        reports = _reports(client, bucket, {cluster.head.instance, *ids})
    return Fleet(
        head=reports.get(cluster.head.instance),
        members=_members(found[0], instances, reports),
        desired_capacity=found[0]["DesiredCapacity"],
        refusals=tuple(
            f"{activity['StartTime']:%H:%M} UTC: {activity.get('StatusMessage') or activity['Description']}"
            for activity in activities["Activities"]
            if activity["StatusCode"] in ("Failed", "Cancelled")
        ),
    )


def _instances(client: EC2Client, ids: list[str]) -> dict[str, InstanceTypeDef]:
    if not ids:
        return {}
    pages = client.get_paginator("describe_instances").paginate(InstanceIds=ids)
    return {
        one["InstanceId"]: one
        for page in pages
        for reservation in page["Reservations"]
        for one in reservation["Instances"]
    }


def _reports(client: S3Client, bucket: str, wanted: set[str]) -> dict[str, Report]:
    """Reports by instance; of a machine that is gone nothing is read."""
    found = {}
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{paths.NODES}/")
    for page in pages:
        for entry in page.get("Contents", ()):
            # cluster/nodes/AROA…:i-…/node.json, the part in the middle being aws:userid
            instance = entry["Key"].split("/")[2].rpartition(":")[2]
            if instance in wanted and entry["Key"].endswith("/node.json"):
                body = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                try:
                    report = Report.model_validate_json(body)
                except ValidationError:
                    continue  # half of another version: the machine counts as one that has said nothing
                if report.instance == instance:
                    found[instance] = report
    return found


def _members(
    group: AutoScalingGroupTypeDef,
    instances: Mapping[str, InstanceTypeDef],
    reports: Mapping[str, Report],
) -> tuple[Member, ...]:
    return tuple(
        Member(
            instance=one["InstanceId"],
            type=one.get("InstanceType", ""),
            zone=one["AvailabilityZone"],
            market=str(instances.get(one["InstanceId"], {}).get("InstanceLifecycle", "on-demand")),
            lifecycle=one["LifecycleState"],
            report=reports.get(one["InstanceId"]),
        )
        for one in group["Instances"]
    )

"""Members of an Auto Scaling group: the group's instances, and the report of each machine.

A machine writes its name, address, host key and state below `cluster/nodes/` of the bucket (see
`bootstrap.join.on_node.boot`). IAM lets it write only to the key with its own instance id, so that a report
is that instance's; its address must be the one that EC2 states, and its name no other member's.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bootstrap import paths
from bootstrap.clouds import aws
from bootstrap.cluster import AutoScalingGroup, ClusterDocument
from bootstrap.cluster.access import Address, HostKey, HostName
from bootstrap.errors import StackError

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef
    from mypy_boto3_s3 import S3Client

REPORT, LOG = "node.json", "boot.log"
"""Files of a machine below `cluster/nodes/`: its report, and the end of its log after a failure."""
LONGEST: Final = 64 << 10
"""Bytes of a report; a longer one is no machine's."""
RECENT: Final = 10
"""Number of scaling activities to read."""
ACTIVE: Final = ("Pending", "Pending:Wait", "Pending:Proceed", "InService")
"""Lifecycle states of members that run or start; all others are leaving."""

State = Literal["booting", "ready", "failed", "leaving", "left"]


class Report(BaseModel):
    """A machine's report about itself; `said` is the reason of a failure or of leaving."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1]
    instance: str
    name: HostName
    address: Address
    host_key: HostKey
    state: State
    said: str
    framework: str = Field(pattern=r"^[0-9a-f]*$")
    at: datetime


@dataclass(frozen=True)
class Member:
    """An instance of the group; `market` is `spot` or `on-demand`; `report` is None until it reports.

    `refused` is the reason why its report is not used, `log` the URI of the log that it has left after a
    failure.
    """

    instance: str
    type: str
    zone: str
    market: str
    lifecycle: str
    report: Report | None
    refused: str = ""
    log: str = ""

    @property
    def state(self) -> str:
        """State in one word, e.g. `starting`, `ready`, `leaving`, `refused`."""
        if self.lifecycle not in ACTIVE:
            return "leaving"
        if self.refused:
            return "refused"
        return self.report.state if self.report else "starting"


@dataclass(frozen=True)
class Fleet:
    """The head's report, the group's members, and the failed scaling activities (newest first)."""

    head: Report | None
    members: tuple[Member, ...]
    desired_capacity: int
    refusals: tuple[str, ...]
    head_log: str = ""

    @property
    def ready(self) -> tuple[Member, ...]:
        """Members that jobs can use."""
        return tuple(member for member in self.members if member.state == "ready")

    @property
    def coming(self) -> tuple[Member, ...]:
        """Members that are still starting."""
        return tuple(member for member in self.members if member.state in ("starting", "booting"))

    @property
    def news(self) -> tuple[str, ...]:
        """Lines to print: the machines' own failures, then the group's failed activities."""
        machines = [(self.head, self.head_log)] if self.head else []
        machines += [(member.report, member.log) for member in self.members if member.report]
        failures = [
            f"{report.name} ({report.instance}) {report.state}: {report.said}"
            + (f"; its log: `aws s3 cp {log} -`" if log and report.state == "failed" else "")
            for report, log in machines
            if report.said
        ]
        failures += [
            f"{member.instance} refused: {member.refused}" for member in self.members if member.refused
        ]
        return (*failures, *(f"{self.desired_capacity} wanted; {refusal}" for refusal in self.refusals))

    @property
    def settled(self) -> bool:
        """True if waiting changes nothing: the head is up or has failed, and no member is starting.

        A group below its desired capacity is settled only when it has recorded a failed activity.
        """
        if self.head is None or self.head.state == "booting" or self.coming:
            return False
        return len(self.members) >= self.desired_capacity or bool(self.refusals)


def look(cluster: ClusterDocument, group: AutoScalingGroup, since: datetime | None = None) -> Fleet:
    """Read the group from AWS and the reports from the bucket, once; failed activities `since` a time.

    Raises:
        StackError: the group does not exist.
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    session, region = aws.session(), group.region
    with aws.translate_errors(f"reading the Auto Scaling group {group.name}"):
        scaling = session.client("autoscaling", region_name=region, config=aws.RETRY)
        groups = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group.name])["AutoScalingGroups"]
        if not groups:
            raise StackError(
                f"stack {cluster.stack!r}",
                f"region {region} has no Auto Scaling group {group.name}",
                f"Run `pulumi up --stack {cluster.stack}`.",
            )
        activities = scaling.describe_scaling_activities(AutoScalingGroupName=group.name, MaxRecords=RECENT)
        ids = [member["InstanceId"] for member in groups[0]["Instances"]]
        instances = _instances(session.client("ec2", region_name=region, config=aws.RETRY), ids)
    bucket = cluster.shared_storage.removeprefix("s3a://")
    with aws.translate_errors(f"reading s3://{bucket}/{paths.NODES}/"):
        client = session.client("s3", region_name=region, config=aws.RETRY)
        files = _files(client, bucket, {cluster.head.instance, *ids})
        reports = _reports(client, bucket, files)
    logs = {one: f"s3://{bucket}/{keys[LOG]}" for one, keys in files.items() if LOG in keys}
    return Fleet(
        head=reports.get(cluster.head.instance),
        members=tuple(
            replace(member, log=logs.get(member.instance, ""))
            for member in _members(groups[0], instances, reports, {cluster.head.name})
        ),
        head_log=logs.get(cluster.head.instance, ""),
        desired_capacity=groups[0]["DesiredCapacity"],
        refusals=tuple(
            f"{activity['StartTime']:%H:%M} UTC: {activity.get('StatusMessage') or activity['Description']}"
            for activity in activities["Activities"]
            if activity["StatusCode"] in ("Failed", "Cancelled")
            and (since is None or activity["StartTime"] >= since)
        ),
    )


def _instances(client: EC2Client, ids: list[str]) -> dict[str, InstanceTypeDef]:
    if not ids:
        return {}
    pages = client.get_paginator("describe_instances").paginate(InstanceIds=ids)
    return {
        instance["InstanceId"]: instance
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    }


def reports_of(client: S3Client, bucket: str, wanted: set[str]) -> dict[str, Report]:
    """Return reports by instance id; reports of terminated machines are not read."""
    return _reports(client, bucket, _files(client, bucket, wanted))


def _files(client: S3Client, bucket: str, wanted: set[str]) -> dict[str, dict[str, str]]:
    """Return the keys of what machines have written: by instance id, then by the file's name."""
    files: dict[str, dict[str, str]] = {}
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{paths.NODES}/")
    for page in pages:
        for entry in page.get("Contents", ()):
            # cluster/nodes/AROA…:i-…/node.json; the middle part is aws:userid
            instance = entry["Key"].split("/")[2].rpartition(":")[2]
            if instance in wanted:
                files.setdefault(instance, {})[entry["Key"].rpartition("/")[2]] = entry["Key"]
    return files


def _reports(client: S3Client, bucket: str, files: Mapping[str, Mapping[str, str]]) -> dict[str, Report]:
    reports = {}
    for instance, keys in files.items():
        if REPORT not in keys:
            continue
        with client.get_object(Bucket=bucket, Key=keys[REPORT])["Body"] as stream:
            body = stream.read(LONGEST + 1)
        try:
            report = Report.model_validate_json(body if len(body) <= LONGEST else b"")
        except ValidationError:
            continue  # of another version, or too long: the machine counts as not reported
        if report.instance == instance:
            reports[instance] = report
    return reports


def _members(
    group: AutoScalingGroupTypeDef,
    instances: Mapping[str, InstanceTypeDef],
    reports: Mapping[str, Report],
    taken: Set[str],
) -> tuple[Member, ...]:
    """Return the members; `taken` are names that no member may have."""
    members, names = [], set(taken)
    for member in sorted(group["Instances"], key=lambda member: member["InstanceId"]):
        instance, report = member["InstanceId"], reports.get(member["InstanceId"])
        known = instances.get(instance, {})
        refused = _refused(report, known, names) if report else ""
        if report and not refused:
            names.add(report.name)
        members.append(
            Member(
                instance=instance,
                type=member.get("InstanceType", ""),
                zone=member["AvailabilityZone"],
                market=str(known.get("InstanceLifecycle", "on-demand")),
                lifecycle=member["LifecycleState"],
                report=None if refused else report,
                refused=refused,
            )
        )
    return tuple(members)


def _refused(report: Report, known: InstanceTypeDef | dict[str, Any], names: Set[str]) -> str:
    """Return the reason why a report is not used; empty for one that is."""
    address = known.get("PrivateIpAddress", "")
    if report.address != address:
        return f"it reports the address {report.address}, and EC2 states {address or 'none'}"
    return f"it reports the name {report.name}, which another machine has" if report.name in names else ""

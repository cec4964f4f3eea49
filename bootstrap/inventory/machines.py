"""Workers of an Auto Scaling group as EC2 knows them, those that are gone included, and prices over time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from bootstrap.cluster import AutoScalingGroup, ClusterDocument
from bootstrap.cluster.prices import Market

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

LINUX: Final = "Linux/UNIX"
_WHEN: Final = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) GMT\)")
"""Time in EC2's reason of a transition: `User initiated (2026-11-30 10:00:00 GMT)`."""
_GONE: Final = ("shutting-down", "terminated", "stopping", "stopped")

Pool = tuple[str, str]
"""Type and zone of spot instances, which have a price in common."""
SpotPrices = Mapping[Pool, Sequence[tuple[float, Decimal]]]
"""Prices of spot instances by pool: times since the epoch, ascending, and USD an hour from then on."""


@dataclass(frozen=True)
class Machine:
    """A worker as its cloud knows it; times are seconds since the epoch, None if not known."""

    type: str
    market: Market
    zone: str = ""
    launched: float | None = None
    ended: float | None = None
    gone: bool = False
    """It does not run any more; AWS does not always tell since when."""


def one_of(machines: Sequence[Machine], begin: float, end: float) -> Machine | None:
    """Return the machine that was there from `begin` to `end`, or for most of that; None without one."""
    infinite = float("inf")
    lengths = [
        (min(end, one.ended or infinite) - max(begin, one.launched or 0.0), not one.gone, number)
        for number, one in enumerate(machines)
    ]
    length, _, number = max(lengths, default=(-1.0, False, 0))
    return machines[number] if length >= 0 else None


def machines(cluster: ClusterDocument, group: AutoScalingGroup) -> dict[str, list[Machine]]:
    """Return the group's workers by name; EC2 remembers those that are gone for about an hour.

    Raises:
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    # importing boto3 takes a third of a second
    from bootstrap.clouds import aws
    from bootstrap.inventory.autoscaling import reports_of

    session = aws.session()
    with aws.translate_errors(f"describing the instances of {group.name}"):
        pages = (
            session.client("ec2", region_name=group.region, config=aws.FAIL_FAST)
            .get_paginator("describe_instances")
            .paginate(Filters=[{"Name": "tag:aws:autoscaling:groupName", "Values": [group.name]}])
        )
        instances = [
            instance for page in pages for one in page["Reservations"] for instance in one["Instances"]
        ]
    # EC2 forgets the address of what is gone, and a name is made of it: the machine's own report has it.
    silent = {one["InstanceId"] for one in instances if not one.get("PrivateIpAddress")}
    bucket = cluster.shared_storage.removeprefix("s3a://")
    names = {}
    if silent:
        with aws.translate_errors(f"reading the reports in s3://{bucket}"):
            client = session.client("s3", region_name=group.region, config=aws.FAIL_FAST)
            names = {key: report.name for key, report in reports_of(client, bucket, silent).items()}
    found: dict[str, list[Machine]] = {}
    for instance in instances:
        address = instance.get("PrivateIpAddress", "")
        name = f"ip-{address.replace('.', '-')}" if address else names.get(instance["InstanceId"], "")
        if name:
            found.setdefault(name, []).append(_machine(instance))
    return found


def spot_prices(
    group: AutoScalingGroup, pools: Iterable[Pool], begin: float, end: float
) -> dict[Pool, list[tuple[float, Decimal]]]:
    """Return the prices of these pools from `begin` to `end`; one query for each.

    AWS's answer begins with the last change before `begin`, the price in effect then:
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html

    Raises:
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    from bootstrap.clouds import aws

    client = aws.session().client("ec2", region_name=group.region, config=aws.FAIL_FAST)
    asked = client.get_paginator("describe_spot_price_history")
    found: dict[Pool, list[tuple[float, Decimal]]] = {}
    for kind, zone in dict.fromkeys(pools):
        with aws.translate_errors("asking for past spot prices"):
            pages = asked.paginate(
                InstanceTypes=[kind],  # type: ignore[list-item]  # the stubs list every type that there was
                AvailabilityZone=zone,
                ProductDescriptions=[LINUX],
                StartTime=datetime.fromtimestamp(begin, timezone.utc),
                EndTime=datetime.fromtimestamp(end, timezone.utc),
            )
            entries = [entry for page in pages for entry in page["SpotPriceHistory"]]
        changes = [(entry["Timestamp"].timestamp(), Decimal(entry["SpotPrice"])) for entry in entries]
        if changes:
            found[kind, zone] = sorted(changes)
    return found


def _machine(instance: InstanceTypeDef) -> Machine:
    ended, gone = None, instance["State"].get("Name") in _GONE
    if gone:
        said = _WHEN.search(instance.get("StateTransitionReason", ""))
        if said:
            when = datetime.strptime(said[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
            ended = when.timestamp()
    return Machine(
        type=instance["InstanceType"],
        market="spot" if instance.get("InstanceLifecycle") == "spot" else "on-demand",
        zone=instance["Placement"].get("AvailabilityZone", ""),
        launched=instance["LaunchTime"].timestamp(),
        ended=ended,
        gone=gone,
    )

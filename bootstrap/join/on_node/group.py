"""Requests about the workers' Auto Scaling group and the prices of its instances. Standard library only."""

import calendar
import time
import urllib.parse
from decimal import Decimal
from typing import Dict, List, NamedTuple, Sequence, Tuple
from xml.etree import ElementTree

from bootstrap.join.on_node import aws
from bootstrap.join.on_node.account import Instance

BASE = "OnDemandBaseCapacity"


class Group(NamedTuple):
    """The workers' Auto Scaling group."""

    desired: int
    instances: Sequence[Instance]
    base: int = 0
    """On-demand base capacity."""
    distribution: Sequence[Tuple[str, str]] = ()
    """Fields of its InstancesDistribution, that base among them."""


class Launch(NamedTuple):
    """A launch that the group could not do: its time, and AWS's reason."""

    start: float
    said: str


def query(service: str, url: str, **fields: str) -> ElementTree.Element:
    answer = aws.call(
        service, "{}/?{}".format(url, urllib.parse.urlencode(fields, quote_via=urllib.parse.quote))
    )
    return ElementTree.fromstring(answer or b"<nothing/>")  # noqa: S314 - AWS's, over TLS


def describe() -> Group:
    """Return the group.

    Raises:
        RuntimeError, OSError: AWS does not answer, or has no such group.
    """
    name = aws.setting("group")
    fields = {"AutoScalingGroupNames.member.1": name, "Action": "DescribeAutoScalingGroups"}
    answer = query("autoscaling", aws.setting("autoscaling_url"), Version="2011-01-01", **fields)
    group = answer.find(".//{*}AutoScalingGroups/{*}member")
    if group is None:
        raise RuntimeError("there is no group {}".format(name))
    names = ("InstanceId", "InstanceType", "AvailabilityZone", "LifecycleState")
    listed = group.find("{*}MixedInstancesPolicy/{*}InstancesDistribution")
    fields = {one.tag.rpartition("}")[2]: one.text or "" for one in listed if not len(one)} if listed else {}
    return Group(
        int(group.findtext("{*}DesiredCapacity") or 0),
        [
            Instance(*(one.findtext("{*}" + field) or "" for field in names))
            for one in group.iterfind("{*}Instances/{*}member")
        ],
        int(fields.get(BASE) or 0),
        tuple(sorted((name, text) for name, text in fields.items() if text)),
    )


def instance_markets() -> Dict[str, str]:
    """Return the market of each of the group's instances that EC2 knows, by id."""
    fields = {"Filter.1.Name": "tag:aws:autoscaling:groupName", "Filter.1.Value.1": aws.setting("group")}
    answer = query("ec2", aws.setting("ec2_url"), Action="DescribeInstances", Version="2016-11-15", **fields)
    # Others than spot (none, capacity-block, scheduled) are not of the spot market.
    return {
        one.findtext("{*}instanceId") or "": (
            "spot" if one.findtext("{*}instanceLifecycle") == "spot" else "on-demand"
        )
        for one in answer.iterfind(".//{*}instancesSet/{*}item")
    }


def failed_launches() -> List[Launch]:
    """Return the newest activities of the group that failed."""
    fields = {"AutoScalingGroupName": aws.setting("group"), "MaxRecords": "20"}
    fields["Action"] = "DescribeScalingActivities"
    answer = query("autoscaling", aws.setting("autoscaling_url"), Version="2011-01-01", **fields)
    failed = [
        one
        for one in answer.iterfind(".//{*}Activities/{*}member")
        if one.findtext("{*}StatusCode") == "Failed"
    ]
    return [
        Launch(
            calendar.timegm(time.strptime((one.findtext("{*}StartTime") or "")[:19], "%Y-%m-%dT%H:%M:%S")),
            " ".join((one.findtext("{*}StatusMessage") or "").split()),
        )
        for one in failed
    ]


def set_on_demand_base(group: Group, base: int) -> None:
    """Set the group's on-demand base capacity; its other settings stay as they are.

    The request has all fields of the distribution, and no launch template: for one, AWS would ask for the
    rights to run its instances.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
    """
    fields = dict(group.distribution)
    fields[BASE] = str(base)
    sent = {"MixedInstancesPolicy.InstancesDistribution." + name: text for name, text in fields.items()}
    sent["AutoScalingGroupName"] = aws.setting("group")
    url = aws.setting("autoscaling_url")
    query("autoscaling", url, Action="UpdateAutoScalingGroup", Version="2011-01-01", **sent)


def stop_workers(left: int = 0) -> None:
    """Set the group's size to zero, or to the workers that are left."""
    sizes = {"MinSize": "0", "DesiredCapacity": str(left), "AutoScalingGroupName": aws.setting("group")}
    url = aws.setting("autoscaling_url")
    query("autoscaling", url, Action="UpdateAutoScalingGroup", Version="2011-01-01", **sizes)


def abandon(instance: str) -> None:
    """End the wait for a machine that is joining: the group lets it go, and at a size of zero for good."""
    fields = {"LifecycleHookName": aws.setting("launch_hook"), "LifecycleActionResult": "ABANDON"}
    fields.update(InstanceId=instance, AutoScalingGroupName=aws.setting("group"))
    url = aws.setting("autoscaling_url")
    query("autoscaling", url, Action="CompleteLifecycleAction", Version="2011-01-01", **fields)


def spot_prices(kinds: Sequence[str], now: float) -> Dict[Tuple[str, str], Decimal]:
    """Return the current price of spot instances of these types in each zone."""
    fields = {"InstanceType.{}".format(number): kind for number, kind in enumerate(kinds, start=1)}
    fields["StartTime"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    fields["ProductDescription.1"] = "Linux/UNIX"
    url = aws.setting("ec2_url")
    answer = query("ec2", url, Action="DescribeSpotPriceHistory", Version="2016-11-15", **fields)
    newest: Dict[Tuple[str, str], Tuple[str, Decimal]] = {}
    for item in answer.iterfind(".//{*}spotPriceHistorySet/{*}item"):
        pool = item.findtext("{*}instanceType") or "", item.findtext("{*}availabilityZone") or ""
        entry = item.findtext("{*}timestamp") or "", Decimal(item.findtext("{*}spotPrice") or "")
        newest[pool] = max(newest.get(pool, entry), entry)
    return {pool: price for pool, (_, price) in newest.items()}

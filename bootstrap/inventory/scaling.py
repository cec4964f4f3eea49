"""Size of a group that grows for jobs (`scaleToQueue`); the head makes it smaller when nothing runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bootstrap.cluster import AutoScalingGroup
from bootstrap.errors import StackError

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef


class Growth(NamedTuple):
    """Growth of a group: its desired capacity before and now, and the instances that it had."""

    before: int
    now: int
    members: frozenset[str] = frozenset()


def grow(group: AutoScalingGroup, workers: int, stack: str) -> Growth:
    """Make the group that large, if it is smaller.

    Raises:
        StackError: the group does not exist.
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    # importing boto3 takes a third of a second
    from bootstrap.clouds import aws

    with aws.translate_errors(f"making the Auto Scaling group {group.name} larger"):
        client = _client(group)
        found = _described(client, group)
        if found is None:
            raise StackError(
                f"stack {stack!r}",
                f"region {group.region} has no Auto Scaling group {group.name}",
                f"Run `pulumi up --stack {stack}`.",
            )
        before = found["DesiredCapacity"]
        now = max(before, min(workers, group.max_size))
        if now > before:
            client.update_auto_scaling_group(AutoScalingGroupName=group.name, DesiredCapacity=now)
    return Growth(before, now, frozenset(one["InstanceId"] for one in found["Instances"]))


def shrink(group: AutoScalingGroup, instances: Collection[str], unlaunched: int) -> tuple[int, int]:
    """End these instances, and want fewer by them and by so many that AWS has not launched; return the
    desired capacity before and now.

    Auto Scaling never chooses what ends: the instances are named, and otherwise the group is wanted no
    smaller than it is. Whether AWS ends one by name that waits for its launch hook is not settled.

    Raises:
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    from bootstrap.clouds import aws

    with aws.translate_errors(f"making the Auto Scaling group {group.name} smaller"):
        client = _client(group)
        first = _described(client, group)
        if first is None:
            return 0, 0
        known = {one["InstanceId"] for one in first["Instances"]}
        _end(client, sorted(known.intersection(instances)))
        left = unlaunched
        while (found := _described(client, group)) is not None:
            desired, active = found["DesiredCapacity"], _active(found)
            # One that was launched between a look and a request must not cost another one its place.
            late = [one for one in active if one not in known]
            known.update(late)
            if len(active) > desired:
                client.update_auto_scaling_group(AutoScalingGroupName=group.name, DesiredCapacity=len(active))
                _end(client, late)
                continue
            lower = min(left, desired - len(active))
            if lower <= 0:
                return first["DesiredCapacity"], desired
            client.update_auto_scaling_group(AutoScalingGroupName=group.name, DesiredCapacity=desired - lower)
            left -= lower
        return first["DesiredCapacity"], 0


def _end(client: AutoScalingClient, instances: Sequence[str]) -> None:
    for instance in instances:
        client.terminate_instance_in_auto_scaling_group(
            InstanceId=instance, ShouldDecrementDesiredCapacity=True
        )


def _active(found: AutoScalingGroupTypeDef) -> list[str]:
    """Return the instances that count for the desired capacity."""
    from bootstrap.inventory.autoscaling import ACTIVE

    return [one["InstanceId"] for one in found["Instances"] if one["LifecycleState"] in ACTIVE]


def _described(client: AutoScalingClient, group: AutoScalingGroup) -> AutoScalingGroupTypeDef | None:
    found = client.describe_auto_scaling_groups(AutoScalingGroupNames=[group.name])["AutoScalingGroups"]
    return found[0] if found else None


def _client(group: AutoScalingGroup) -> AutoScalingClient:
    from bootstrap.clouds import aws

    client: AutoScalingClient = aws.session().client(
        "autoscaling", region_name=group.region, config=aws.RETRY
    )
    return client

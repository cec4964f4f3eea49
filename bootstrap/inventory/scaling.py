"""Size of a group that grows for jobs (`scaleToQueue`); the head makes it smaller when nothing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootstrap.cluster import AutoScalingGroup
from bootstrap.errors import StackError

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient


def grow(group: AutoScalingGroup, workers: int, stack: str) -> tuple[int, int]:
    """Make the group that large, if it is smaller; return its desired capacity before and now.

    Raises:
        StackError: the group does not exist.
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    # importing boto3 takes a third of a second
    from bootstrap.clouds import aws

    with aws.translate_errors(f"making the Auto Scaling group {group.name} larger"):
        client: AutoScalingClient = aws.session().client(
            "autoscaling", region_name=group.region, config=aws.RETRY
        )
        found = client.describe_auto_scaling_groups(AutoScalingGroupNames=[group.name])["AutoScalingGroups"]
        if not found:
            raise StackError(
                f"stack {stack!r}",
                f"region {group.region} has no Auto Scaling group {group.name}",
                f"Run `pulumi up --stack {stack}`.",
            )
        before = found[0]["DesiredCapacity"]
        now = max(before, min(workers, group.max_size))
        if now > before:
            client.update_auto_scaling_group(AutoScalingGroupName=group.name, DesiredCapacity=now)
    return before, now

"""Check that the name of the workers' group is free: instances and commands know the group only by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootstrap.clouds import aws
from infra import tags
from infra.aws.preflight.cloud import Cloud
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

NAME: Final = "worker group"


def checks(_config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check."""
    return [CloudCheck(NAME, lambda cloud: [_group(cloud, stack)])]


def _group(cloud: Cloud, stack: str) -> Finding:
    name = tags.full_name(stack, "workers")
    with aws.translate_errors(f"looking for the Auto Scaling group {name}"):
        found = cloud.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    groups = found["AutoScalingGroups"]
    if not groups:
        return Finding(NAME, "passed", f"the name {name} is free")
    has = {tag["Key"]: tag.get("Value", "") for tag in groups[0].get("Tags", []) if "Key" in tag}
    if tags.is_ours(has, tags.cloud_tags(stack)):
        return Finding(NAME, "passed", f"{name} is this stack's")
    whose = ", ".join(f"{key}={value}" for key, value in sorted(has.items())) or "it has no tags"
    return Finding(
        NAME,
        "failed",
        f"{cloud.region} has a group {name} that is not this stack's ({whose})",
        f"Use another name: `cp Pulumi.{stack}.yaml Pulumi.NAME.yaml`, then `pulumi stack init NAME`.",
    )

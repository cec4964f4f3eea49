"""Checks of EFA and of the placement group: the types' interfaces as AWS has them, and the group's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootstrap.clouds import aws
from infra import tags
from infra.aws.preflight.cloud import Cloud
from infra.aws.settings import regions
from infra.preflight.finding import CloudCheck, Finding
from infra.settings.commands import rm_command, set_command

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

EFA: Final = "EFA"
PLACEMENT: Final = "placement group"


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the checks of what the stack has of the two."""
    asked: list[CloudCheck[Cloud]] = []
    if config.efa:
        asked.append(CloudCheck(EFA, lambda cloud: [_efa(cloud, config, stack)]))
    if config.placement_group:
        asked.append(CloudCheck(PLACEMENT, lambda cloud: [_placement(cloud, stack)]))
    return asked


def _efa(cloud: Cloud, config: AwsConfig, stack: str) -> Finding:
    names = list(config.instance_types)
    with aws.translate_errors("asking which types have EFA"):
        found = cloud.ec2.describe_instance_types(InstanceTypes=names)["InstanceTypes"]  # type: ignore[arg-type]
    numbers = {
        str(one.get("InstanceType", "")): one.get("NetworkInfo", {})
        .get("EfaInfo", {})
        .get("MaximumEfaInterfaces", 0)
        for one in found
    }
    for place, kind in enumerate(config.types):
        number = numbers.get(kind.name, 0)
        if number < kind.efa:
            path = f"instanceTypes[{place}]"
            return Finding(
                EFA,
                "failed",
                f"{kind.name} has {number} EFA interfaces by AWS, and {kind.efa} by our table of "
                f"{regions.table().date} ({regions.SHOWN})",
                f"Run `{set_command(path, 'TYPE')} --stack {stack}`, or `{rm_command('efa')} --stack "
                f"{stack}`.",
            )
    said = f"{', '.join(names)}: {config.efa_interfaces} interfaces of each worker"
    if config.placement_group or config.capacity_block:
        return Finding(EFA, "passed", said)
    return Finding(
        EFA,
        "note",
        f"{said}; without a placement group they may be far from one another",
        f"Run `{set_command('placementGroup', 'true')} --stack {stack}`.",
    )


def _placement(cloud: Cloud, stack: str) -> Finding:
    # As in `infra.aws.fabric`, whose import takes a second because of Pulumi.
    name = tags.full_name(stack, "placement")
    with aws.translate_errors(f"looking for the placement group {name}"):
        # By a filter: named, one that does not exist is an error.
        found = cloud.ec2.describe_placement_groups(Filters=[{"Name": "group-name", "Values": [name]}])
    groups = found["PlacementGroups"]
    if not groups:
        return Finding(PLACEMENT, "passed", f"the name {name} is free")
    has = {tag["Key"]: tag.get("Value", "") for tag in groups[0].get("Tags", []) if "Key" in tag}
    if tags.is_ours(has, tags.cloud_tags(stack)):
        return Finding(PLACEMENT, "passed", f"{name} is this stack's")
    return Finding(
        PLACEMENT,
        "failed",
        f"{cloud.region} has a placement group {name} that is not this stack's",
        f"Delete it (`aws ec2 delete-placement-group --group-name {name} --region {cloud.region}`), or use "
        f"another name: `cp Pulumi.{stack}.yaml Pulumi.NAME.yaml`, then `pulumi stack init NAME`.",
    )

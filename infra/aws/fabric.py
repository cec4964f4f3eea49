"""Network between workers: EFA interfaces of their launch template, and a cluster placement group.

Read on 2026-11-30: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.md (layouts of
interfaces) and https://amazonaws.cn/en/new/2024/amazon-ec2-announces-efa-updates-for-scalability-with-aiml-applications
(interfaces of EFA alone: secondary, without an address, on all types that have EFA).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.tags import full_name

PRIMARY: Final = "efa"
"""Interface type with an address (ENA) and EFA: the first one of a machine."""
SECONDARY: Final = "efa-only"
"""Interface type without an address: subnets with a few hundred addresses have room for machines with 32
network cards, and each machine has one route."""


def interfaces(
    number: int, groups: Sequence[pulumi.Input[str]]
) -> list[aws.ec2.LaunchTemplateNetworkInterfaceArgs] | None:
    """Return a template's interfaces: EFA on each of `number` network cards; None for AWS's own default.

    No subnet: the Auto Scaling group's counts for all of them. The first is device 0 of its card, the others
    device 1 of theirs. AWS's page has recommended another layout, too (card 0 with a plain interface and an
    EFA of its own, device 0 of the other cards), which the types here do not need: card 0 of each has EFA.
    """
    if not number:
        return None
    return [
        aws.ec2.LaunchTemplateNetworkInterfaceArgs(
            network_card_index=card,
            device_index=1 if card else 0,
            interface_type=SECONDARY if card else PRIMARY,
            security_groups=list(groups),
            # A string: a launch template has a third state, unset, in which secondary interfaces would stay.
            delete_on_termination="true",
        )
        for card in range(number)
    ]


def placement_group(
    name: str, stack: str, opts: pulumi.ResourceOptions | None = None
) -> aws.ec2.PlacementGroup:
    """Register the workers' placement group.

    AWS deletes one only when it has no machine: what waits until the machines' interfaces are gone (subnets,
    security groups) should depend on it, and is deleted before.
    """
    title = group_name(stack)
    return aws.ec2.PlacementGroup(name, name=title, strategy="cluster", tags={"Name": title}, opts=opts)


def group_name(stack: str) -> str:
    """Return the name of the placement group."""
    return full_name(stack, "placement")

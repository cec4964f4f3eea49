"""The settings `efa` and `placementGroup` of a stack on AWS, and their rules. Pure.

Both are of one zone. Read on 2026-11-30: "Elastic Fabric Adapter (EFA) isn't supported over different
availability zones", https://docs.amazonaws.cn/en_us/parallelcluster/latest/ug/efa-v3.html, and "You cannot
specify multiple Availability Zones and a cluster placement group",
https://docs.aws.amazon.com/sdk-for-kotlin/api/latest/autoscaling/aws.sdk.kotlin.services.autoscaling.model/-create-auto-scaling-group-request/placement-group.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from infra.aws.settings import regions
from infra.aws.settings.machine_types import nearest, only
from infra.settings.commands import rm_command, set_command
from infra.settings.refusal import Refusal, listed

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig


def check(config: AwsConfig) -> None:
    """Validate EFA and the placement group against types, zones and the market.

    Raises:
        Refusal: workers would not have what the setting says.
    """
    if config.efa:
        _types(config)
        _same_number(config)
        _one_subnet(config)
    if config.placement_group:
        _reserved(config)
    for key, given, why in (
        ("efa", config.efa, "EFA connects machines of one zone alone"),
        ("placementGroup", config.placement_group, "a cluster placement group is in one zone"),
    ):
        if given:
            _one_zone(config, f"{why} ({key}: true)")


def one_zone(config: AwsConfig, zones: Sequence[str]) -> None:
    """Validate the zones of given subnets, which only AWS knows.

    Raises:
        Refusal: there are several.
    """
    if len(zones) == 1:
        return
    for key, given in (("efa", config.efa), ("placementGroup", config.placement_group)):
        if given:
            why = (
                f"subnets.workers are in {listed(zones)}, and {key} is of one zone; valid: subnets of one "
                "zone, or false"
            )
            raise Refusal(key, "true", why, rm_command(key))


def _types(config: AwsConfig) -> None:
    region = regions.table().regions[config.region]
    ours = "instance_types" in config.model_fields_set
    for place, kind in enumerate(config.types):
        if kind.efa:
            continue
        every = [one.name for one in regions.table().types.values() if one.efa]
        useful = [zone for zone in region.zones if any(region.offered(name, [zone]) for name in every)]
        if not useful:
            why = f"{config.region} offers no type with EFA; valid: false, or another region"
            raise Refusal("efa", "true", why, rm_command("efa"))
        valid = [name for name in every if region.offered(name, config.zones)]
        if not valid:
            why = f"no type with EFA (efa: true) is offered there; valid: {listed(useful)}, or efa false"
            raise Refusal("zones", listed(config.zones), why, set_command("zones[0]", useful[0]))
        path = f"instanceTypes[{place if ours else 0}]"
        why = f"it has no EFA (efa: true); valid: {listed(valid)}, or efa false"
        same = [name for name in valid if regions.table().types[name].family == kind.family]
        raise Refusal(path, kind.name, why, set_command(path, nearest(kind.name, same or valid)))


def _same_number(config: AwsConfig) -> None:
    """Refuse types with different numbers of interfaces: one launch template names those of all."""
    first = config.types[0]
    for place, kind in enumerate(config.types):
        if kind.efa != first.efa:
            alike = [one.name for one in config.types if one.efa == first.efa]
            why = (
                f"it has {kind.efa} EFA interfaces and {listed(alike)} {first.efa}, and the workers' launch "
                f"template names the same ones for all; valid: types with {first.efa}, or a stack of its own"
            )
            path = f"instanceTypes[{place}]"
            raise Refusal(path, kind.name, why, rm_command(path))


def _one_subnet(config: AwsConfig) -> None:
    """Refuse several given subnets: that EFA connects two of one zone is in no document that we read."""
    if config.subnets is not None and len(config.subnets.workers) > 1:
        key = "subnets.workers"
        why = "EFA (efa: true) connects machines of one subnet; valid: one subnet, or efa false"
        raise Refusal(key, listed(config.subnets.workers), why, rm_command(f"{key}[1]"))


def _reserved(config: AwsConfig) -> None:
    """Refuse reserved capacity that a new placement group has no part of."""
    name = config.reservation
    if name is None:
        return
    if config.capacity_block:
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-blocks-using.html ("there is no need to
        # use a cluster placement group with a Capacity Block"), read on 2026-11-30.
        why = "machines of a capacity block are close together without; valid: one of the two"
        raise Refusal("placementGroup", "true", why, rm_command("placementGroup"))
    if name.startswith("arn:"):
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-cpg-odcr-crg.html, read on 2026-11-30.
        why = (
            "the reservation is a resource group's ARN, and what does not fit its reservations of that "
            "placement group, which is new, starts on demand beside them; valid: the id of one (cr-…), or "
            "false"
        )
        raise Refusal("placementGroup", "true", why, rm_command("placementGroup"))


def _one_zone(config: AwsConfig, why: str) -> None:
    if config.vpc or len(config.zones) == 1:
        return  # the zones of given subnets: `one_zone`
    command = only(config, "zones", _best(config))
    raise Refusal("zones", listed(config.zones), f"{why}; valid: one of them", command)


def _best(config: AwsConfig) -> str:
    """Return the zone that offers the most of the types; the head's where several do."""
    region = regions.table().regions[config.region]

    def offered(zone: str) -> int:
        return sum(bool(region.offered(name, [zone])) for name in config.instance_types)

    return max(config.zones, key=offered)

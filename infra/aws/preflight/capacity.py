"""Checks of what the region offers: zones, instance types, and current spot prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import aws
from infra.aws.existing.network import worker_zones
from infra.aws.preflight.cloud import Cloud
from infra.aws.settings.regions import table
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

ZONES: Final = "zones"
TYPES: Final = "instance types"
PRICES: Final = "spot prices"
PRODUCT: Final = "Linux/UNIX"


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return checks of zones and types, and of prices if a worker may be a spot instance."""
    asked: list[CloudCheck[Cloud]] = []
    # The zones of a given network are its subnets' (see `infra.aws.preflight.network`).
    if config.vpc is None:
        asked = [
            CloudCheck(ZONES, lambda cloud: [_zones(cloud, config, stack)], lambda: _by_table(ZONES, config)),
            CloudCheck(TYPES, lambda cloud: [_types(cloud, config, stack)], lambda: _by_table(TYPES, config)),
        ]
    if config.spot:
        asked.append(CloudCheck(PRICES, lambda cloud: [_prices(cloud, config, stack)]))
    return asked


def offerings(cloud: Cloud, names: Sequence[str], zones: Sequence[str]) -> dict[str, list[str]]:
    """Return type → those of the zones that offer it.

    Raises:
        Denied: permission ec2:DescribeInstanceTypeOfferings is missing.
        ServiceDown: AWS does not answer.
    """
    found: dict[str, list[str]] = {name: [] for name in names}
    with aws.translate_errors("asking which zones offer which types"):
        pages = cloud.ec2.get_paginator("describe_instance_type_offerings").paginate(
            LocationType="availability-zone",
            Filters=[
                {"Name": "instance-type", "Values": list(names)},
                {"Name": "location", "Values": list(zones)},
            ],
        )
        for page in pages:
            for offer in page["InstanceTypeOfferings"]:
                found[offer["InstanceType"]].append(offer["Location"])
    return {name: sorted(where) for name, where in found.items()}


def spot_prices(cloud: Cloud, names: Sequence[str], zones: Sequence[str]) -> dict[str, tuple[Decimal, str]]:
    """Return type → its lowest current price in USD an hour, and the zone that has it.

    Types without a spot market in these zones are left out.

    Raises:
        Denied: permission ec2:DescribeSpotPriceHistory is missing.
        ServiceDown: AWS does not answer.
    """
    found: dict[str, tuple[Decimal, str]] = {}
    with aws.translate_errors("asking for spot prices"):
        pages = cloud.ec2.get_paginator("describe_spot_price_history").paginate(
            InstanceTypes=list(names),  # type: ignore[arg-type]
            ProductDescriptions=[PRODUCT],
            # From now on: the current price, once for each type and zone.
            StartTime=datetime.now(timezone.utc),
            Filters=[{"Name": "availability-zone", "Values": list(zones)}],
        )
        for page in pages:
            for entry in page["SpotPriceHistory"]:
                price = (Decimal(entry["SpotPrice"]), entry["AvailabilityZone"])
                name = entry["InstanceType"]
                found[name] = min(found.get(name, price), price)
    return found


def _zones(cloud: Cloud, config: AwsConfig, stack: str) -> Finding:
    with aws.translate_errors("looking at the zones"):
        found = cloud.ec2.describe_availability_zones(
            Filters=[{"Name": "region-name", "Values": [config.region]}]
        )["AvailabilityZones"]
    states = {zone["ZoneName"]: zone.get("State", "available") for zone in found}
    for place, name in enumerate(config.zones):
        if states.get(name) != "available":
            usable = [zone for zone, state in states.items() if state == "available"]
            spare = next((zone for zone in usable if zone not in config.zones), None)
            fix = (
                f"pulumi config set --path 'zones[{place}]' {spare}"
                if spare
                else f"pulumi config rm --path 'zones[{place}]'"
            )
            return Finding(
                ZONES,
                "failed",
                f"{name} is {states.get(name, 'unknown to this account')}; available: {', '.join(usable)}",
                f"Run `{fix} --stack {stack}`.",
            )
    return Finding(ZONES, "passed", f"{', '.join(config.zones)} available")


def _types(cloud: Cloud, config: AwsConfig, stack: str) -> Finding:
    names = list(dict.fromkeys((config.head_type, *config.instance_types)))
    found = offerings(cloud, names, config.zones)
    first = config.zones[0]
    if first not in found[config.head_type]:
        return Finding(
            TYPES,
            "failed",
            f"{first}, where the head is, does not offer {config.head_type} (headType)",
            f"Run `pulumi config set headType TYPE --stack {stack}`, or name another zone first.",
        )
    for place, name in enumerate(config.instance_types):
        if not found[name]:
            return Finding(
                TYPES,
                "failed",
                f"none of {', '.join(config.zones)} offers {name} (instanceTypes)",
                f"Run `pulumi config rm --path 'instanceTypes[{place}]' --stack {stack}`.",
            )
    for place, zone in enumerate(config.zones):
        if not any(zone in found[name] for name in config.instance_types):
            return Finding(
                TYPES,
                "failed",
                f"{zone} offers none of {', '.join(config.instance_types)} (instanceTypes)",
                f"Run `pulumi config rm --path 'zones[{place}]' --stack {stack}`.",
            )
    return Finding(TYPES, "passed", f"offered: {_where(found, config.zones)}")


def _where(found: Mapping[str, Sequence[str]], zones: Sequence[str]) -> str:
    """List types, with their zones where not all offer them."""
    return ", ".join(
        name if set(where) == set(zones) else f"{name} (only {', '.join(where)})"
        for name, where in found.items()
    )


def _by_table(name: str, config: AwsConfig) -> Finding:
    """Return a finding from the table, against which the configuration has been validated."""
    said = ", ".join(config.zones if name == ZONES else (config.head_type, *config.instance_types))
    return Finding(name, "passed", f"{said}: by the table of {table().date}, without asking AWS")


def _prices(cloud: Cloud, config: AwsConfig, stack: str) -> Finding:
    zones = worker_zones(cloud.ec2, config)
    found = spot_prices(cloud, config.instance_types, zones)
    if not found:
        return Finding(
            PRICES,
            "failed",
            f"{', '.join(zones)} have no spot market for {', '.join(config.instance_types)}",
            f"Run `pulumi config set onDemandPercentage 100 --stack {stack}`, or use other types.",
        )
    cheapest = sorted(found, key=lambda name: found[name])
    said = ", ".join(f"{name} {_usd(found[name][0])}" for name in cheapest)
    cap = config.max_price
    if cap is None:
        return Finding(PRICES, "passed", f"from, in USD/h: {said}; without maxPrice")
    dear = [name for name in cheapest if found[name][0] > cap]
    if len(dear) == len(cheapest):
        price, zone = found[cheapest[0]]
        return Finding(
            PRICES,
            "failed",
            f"no worker could start: maxPrice is {cap}, and the cheapest, {cheapest[0]}, "
            f"costs {_usd(price)} ({zone})",
            f"Run `pulumi config set maxPrice {_usd(price * Decimal('1.2'))} --stack {stack}`, "
            f"or `pulumi config rm maxPrice --stack {stack}`.",
        )
    above = f"; above maxPrice {cap}: {', '.join(dear)}" if dear else f"; all below maxPrice {cap}"
    return Finding(PRICES, "passed", f"from, in USD/h: {said}{above}")


def _usd(price: Decimal) -> str:
    return f"{price:.4f}"

"""Hourly cost of a stack on AWS as configured. Pure.

Not included: traffic to the internet and between zones, requests to S3, taxes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from bootstrap.money import usd
from infra.aws.cost.prices import Prices, RegionPrices, TypePrice
from infra.aws.network_plan import endpoints
from infra.aws.settings.config import AwsConfig
from infra.cost.bill import HOURS, Bill, Line, Parts

HUNDRED: Final = Decimal(100)


def hourly(config: AwsConfig, prices: Prices) -> Bill:
    """Return the bill of a stack whose group has its desired capacity.

    On demand the price is a range over the types, of which the group tries one after the other. The price of
    spot workers is a range over types and zones, with `fallbackAfter` up to the dearest type on
    demand. A type without a known spot price counts with its on-demand price, which limits the spot price; a
    type that `maxPrice` excludes does not count.
    """
    here, parts = prices.of(config.region), _Parts()
    parts.machine("head", config.head_type, 1, here)
    on_demand, spot = split(config)
    if config.capacity_block:
        # A sum without them is a minimum: what an hour of a block costs, who bought it knows.
        parts.missing.append("workers, paid with the capacity block")
    elif on_demand:
        parts.on_demand(config, on_demand, here)
    if spot:
        parts.spot(config, spot, here)
    what, unit = disk("disk of the head", config.head_volume_gb, here)
    parts.add(what, 1, unit)
    what, unit = disk("disks of the workers", config.worker_volume_gb, here)
    parts.add(what, config.workers, unit)
    for what, count, unit in network(config, here):
        parts.add(what, count, unit)
    return Bill(
        lines=tuple(parts.lines),
        missing=tuple(parts.missing),
        notes=tuple(_notes(config, here)),
        on_demand=_all_on_demand(config, here, parts),
        origin=prices.origin(config.region),
    )


def worst(config: AwsConfig, prices: Prices) -> Bill:
    """Return the bill that `budget.perHour` is compared with: of a group that scales, at its largest."""
    size = config.max_workers if config.scale_to_queue else config.workers
    return hourly(config.model_copy(update={"workers": size}), prices)


def lower(config: AwsConfig) -> dict[str, object]:
    """Return the settings by which a stack may cost less, with their values."""
    return {
        **({"maxWorkers": config.max_workers} if config.scale_to_queue else {"workers": config.workers}),
        "maxPrice": config.max_price or "the on-demand price",
        "instanceTypes": ", ".join(config.instance_types),
        "headType": config.head_type,
    }


def split(config: AwsConfig) -> tuple[int, int]:
    """Return the number of on-demand and of spot workers; a fraction of an instance counts as on demand.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-mixed-instances-groups.html
    """
    base = min(config.on_demand_base, config.workers)
    above = math.ceil((config.workers - base) * config.on_demand_percentage / HUNDRED)
    return base + above, config.workers - base - above


def disk(what: str, size_gb: int, here: RegionPrices) -> tuple[str, Decimal | None]:
    """Return a volume's line and USD an hour, None if its price is not known."""
    unit = here.services.gp3_gb_month
    return f"{what}, gp3 {size_gb} GB", None if unit is None else size_gb * unit / HOURS


def network(config: AwsConfig, here: RegionPrices) -> list[tuple[str, int, Decimal | None]]:
    """Return (item, count, USD an hour each) of the network; a given one costs its owner."""
    addresses = int(config.head_public_address)
    if config.vpc is None:
        addresses += config.egress == "nat"
    public = [("public IPv4 addresses", addresses, here.services.ipv4_hour)] if addresses else []
    return [*_egress(config, here), *public]


def spot_range(config: AwsConfig, price: TypePrice) -> tuple[Decimal, Decimal] | None:
    """Return the range of a type's spot price within `maxPrice`; None if `maxPrice` excludes the type.

    Without a known spot price, it is the on-demand price, which limits it.
    """
    low, high = price.spot or (price.on_demand, price.on_demand)
    if config.max_price is not None and price.spot and low > config.max_price:
        return None
    cap = price.on_demand if config.max_price is None else config.max_price
    return min(low, cap), min(high, cap)


def egress_text(config: AwsConfig, prices: Prices) -> str:
    """Describe the monthly cost of egress: as configured, then the alternative."""
    if config.vpc:
        return f"by way of {config.vpc} (vpc): its gateways, endpoints and traffic are not in this estimate"
    other = "endpoints" if config.egress == "nat" else "nat"
    texts = []
    for egress in (config.egress, other):
        variant = config.model_copy(update={"egress": egress})
        here = prices.of(config.region)
        address = here.services.ipv4_hour if egress == "nat" else Decimal(0)
        units = _egress(variant, here)
        if address is None or any(unit is None for _, _, unit in units):
            texts.append(f"{egress}: no price")
            continue
        month = sum(((count * unit) for _, count, unit in units if unit is not None), address) * HOURS
        per_gb = here.services.nat_gb if egress == "nat" else here.services.endpoint_gb
        through = f" and {per_gb} USD per GB" if per_gb is not None else ""
        count = len(endpoints(logs=config.cloud_logs is not None))
        kind = "a NAT gateway with its address" if egress == "nat" else f"{count} interface endpoints"
        texts.append(f"{egress}: {kind}, {usd(month)} USD a month{through}")
    return f"{texts[0]} (or {texts[1]})"


class _Parts(Parts):
    """Adds lines for instances, on demand or spot."""

    def machine(self, what: str, kind: str, count: int, here: RegionPrices) -> None:
        price = here.types.get(kind)
        if price is None:
            self.missing.append(f"{what}, {kind}")
        else:
            unit = price.on_demand
            self.lines.append(Line(f"{what}, {kind}", count, unit, unit))

    def on_demand(self, config: AwsConfig, count: int, here: RegionPrices) -> None:
        """Add workers on demand: of the first type, or of a later one of which AWS has some."""
        first, *others = config.instance_types
        known = {kind: here.types[kind].on_demand for kind in config.instance_types if kind in here.types}
        self.missing += [f"workers on demand, {kind}" for kind in config.instance_types if kind not in known]
        if known:
            note = f"or {', '.join(others)}, where AWS has none" if others else ""
            low, high = min(known.values()), max(known.values())
            self.lines.append(Line(f"workers on demand, {first}", count, low, high, note, worker=True))

    def spot(self, config: AwsConfig, count: int, here: RegionPrices) -> None:
        """Add spot workers, at a range of the types that have a price within `maxPrice`."""
        ranges, unknown, dear = [], [], []
        for kind in config.instance_types:
            price = here.types.get(kind)
            if price is None:
                self.missing.append(f"{kind} on spot")
                continue
            if price.spot is None:
                unknown.append(kind)
            within = spot_range(config, price)
            if within is None:
                dear.append(kind)
            else:
                ranges.append(within)
        # At worst all of them come on demand, whatever `maxPrice` says about spot.
        worst = [here.types[kind].on_demand for kind in config.instance_types if kind in here.types]
        notes = []
        if unknown:
            notes.append(f"no spot price of {', '.join(unknown)}: on-demand price used")
        if dear:
            notes.append(f"maxPrice {config.max_price} excludes {', '.join(dear)}")
        if config.fallback_after is not None and worst:
            notes.append("on demand while there is no spot capacity (fallbackAfter)")
            ranges = [*(ranges or [(Decimal(0), Decimal(0))]), (max(worst), max(worst))]
        if not ranges and not dear:
            return
        if not ranges:
            notes.insert(0, "none comes")
            count, ranges = 0, [(Decimal(0), Decimal(0))]
        low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
        self.lines.append(Line("workers on spot", count, low, high, "; ".join(notes), worker=True))


def _egress(config: AwsConfig, here: RegionPrices) -> list[tuple[str, int, Decimal | None]]:
    """Return (item, count, USD an hour each); endpoints are in one zone (see `network_plan`)."""
    if config.vpc:
        return []
    if config.egress == "nat":
        return [("NAT gateway", 1, here.services.nat_hour)]
    count = len(endpoints(logs=config.cloud_logs is not None))
    return [("interface endpoints", count, here.services.endpoint_hour)]


def _notes(config: AwsConfig, here: RegionPrices) -> Iterator[str]:
    services = here.services
    if services.s3_gb_month is not None:
        yield f"the bucket: {services.s3_gb_month} USD per GB and month"
    if config.cloud_logs:
        yield f"not counted: logs in CloudWatch (cloudLogs), {_logs_text(here)}"
    if config.vpc:
        yield f"not counted: gateways, endpoints and traffic of {config.vpc} (vpc)"
        return
    through = services.nat_gb if config.egress == "nat" else services.endpoint_gb
    if through is not None:
        way = "the NAT gateway" if config.egress == "nat" else "the interface endpoints"
        yield f"through {way}: {through} USD per GB"


def _logs_text(here: RegionPrices) -> str:
    sent, kept = here.services.logs_gb, here.services.logs_gb_month
    of_sent = f"{sent} USD per GB sent" if sent is not None else "which bills per GB sent"
    return f"{of_sent} and {kept} USD per GB and month" if kept is not None else of_sent


def _all_on_demand(config: AwsConfig, here: RegionPrices, parts: _Parts) -> tuple[Decimal, Decimal] | None:
    known = [here.types[kind].on_demand for kind in config.instance_types if kind in here.types]
    if not known or config.capacity_block:
        return None
    others = sum((line.range[0] for line in parts.lines if not line.worker), Decimal(0))
    return others + config.workers * min(known), others + config.workers * max(known)

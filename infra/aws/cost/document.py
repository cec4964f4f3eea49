"""Prices of a stack on AWS for its cluster document, by which receipts and budgets are reckoned. Pure."""

from __future__ import annotations

from decimal import Decimal

from bootstrap.cluster import NodePrice, Part
from bootstrap.cluster import Prices as ClusterPrices
from infra.aws.cost.hourly import disk, network, spot_range
from infra.aws.cost.prices import Prices, RegionPrices
from infra.aws.settings.config import AwsConfig

ALL = 100


def cluster_prices(config: AwsConfig, prices: Prices) -> ClusterPrices:
    """Return the prices of a stack: the figures of `hourly`, by node."""
    here = prices.of(config.region)
    head = here.types.get(config.head_type)
    head_disk = disk("disk of the head", config.head_volume_gb, here)
    parts = [(what, None if unit is None else count * unit) for what, count, unit in network(config, here)]
    return ClusterPrices(
        nodes=(
            NodePrice(
                role="head",
                type=config.head_type,
                low=head and head.on_demand,
                high=head and head.on_demand,
            ),
            *_workers(config, here),
        ),
        per_worker=(_part(*disk("disks of the workers", config.worker_volume_gb, here)),),
        fixed=tuple(_part(*part) for part in (head_disk, *parts)),
        source=prices.origin(config.region),
        date=here.date,
    )


def _workers(config: AwsConfig, here: RegionPrices) -> list[NodePrice]:
    """Return the types and markets that a worker may be of, in the group's order."""
    falls_back = config.fallback_after is not None
    some_on_demand = falls_back or config.on_demand_base > 0 or config.on_demand_percentage > 0
    some_on_spot = config.on_demand_percentage < ALL and config.on_demand_base < config.max_workers
    found = []
    for kind in config.instance_types:
        price = here.types.get(kind)
        if some_on_spot:
            within = spot_range(config, price) if price else None
            if price is None or within is not None:
                low, high = within or (None, None)
                found.append(NodePrice(role="worker", type=kind, market="spot", low=low, high=high))
        if some_on_demand:
            # What an hour of a capacity block costs is not known here.
            usd = None if config.capacity_block else price and price.on_demand
            found.append(NodePrice(role="worker", type=kind, low=usd, high=usd))
    return found


def _part(what: str, usd: Decimal | None) -> Part:
    return Part(what=what, low=usd, high=usd)

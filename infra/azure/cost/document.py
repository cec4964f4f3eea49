"""Prices of a stack on Azure for its cluster document, by which receipts and budgets are reckoned. Pure."""

from __future__ import annotations

from decimal import Decimal

from bootstrap.cluster import NodePrice, Part
from bootstrap.cluster import Prices as ClusterPrices
from infra.azure.cost.hourly import services
from infra.azure.cost.prices import Prices
from infra.azure.settings.config import AzureConfig


def cluster_prices(config: AzureConfig, prices: Prices) -> ClusterPrices:
    """Return the prices of a stack: the figures of `hourly`, by node.

    HDInsight bills the whole cluster as long as it exists.
    """
    here = prices.of(config.region)
    nodes = []
    for one in config.machines:
        usd, most = here.node(one.size), one.max_count if one.max_count != one.min_count else None
        nodes.append(
            NodePrice(role=one.role, type=one.size, low=usd, high=usd, count=one.min_count, max_count=most)
        )
    return ClusterPrices(
        nodes=tuple(nodes),
        fixed=tuple(_part(what, count, unit) for what, count, unit in services(config, here)),
        whole=True,
        source=prices.origin(config.region),
        date=here.date,
    )


def _part(what: str, count: int, unit: Decimal | None) -> Part:
    usd = None if unit is None else count * unit
    return Part(what=what, low=usd, high=usd)

"""Hourly cost of a stack on Azure as configured. Pure.

Not included: traffic to the internet, requests to storage, the private DNS zone, taxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from infra.azure.cost.prices import Prices, RegionPrices
from infra.azure.settings.config import AzureConfig
from infra.cost.bill import Bill, Parts, span

DAY: Final = Decimal(24)
ENDPOINTS: Final = 2
"""Private endpoints of the gateway and the heads."""
PAUSE: Final = "HDInsight cannot pause: all of it is billed from `pulumi up` until `pulumi destroy`"


def hourly(config: AzureConfig, prices: Prices) -> Bill:
    """Return the bill of a stack; with autoscale, a range from the minimum to the maximum of workers.

    A storage stack has no lines: it is billed by the gigabyte.
    """
    here, parts = prices.of(config.region), Parts()
    if config.part == "cluster":
        _machines(parts, config, here)
        services = here.services
        parts.add("NAT gateway", 1, services.nat_hour)
        parts.add("public IPv4 address", 1, services.ipv4_hour)
        if config.private_link:
            parts.add("private endpoints", ENDPOINTS, services.endpoint_hour)
    return Bill(
        lines=tuple(parts.lines),
        missing=tuple(parts.missing),
        notes=tuple(_notes(config, here)),
        on_demand=None,
        origin=prices.origin(config.region),
    )


def daily(bill: Bill) -> str:
    """Describe the cost of a day in USD."""
    return f"{span(bill.low * DAY, bill.high * DAY)} USD"


def _machines(parts: Parts, config: AzureConfig, here: RegionPrices) -> None:
    for one in config.machines:
        parts.add(f"{one.words}, {one.size}", one.min_count, here.node(one.size), one.max_count)


def _notes(config: AzureConfig, here: RegionPrices) -> Iterator[str]:
    services = here.services
    if services.blob_gb_month is not None and not config.storage_stack:
        yield f"the storage account: {services.blob_gb_month} USD per GB and month"
    if config.part == "storage":
        return
    if services.nat_gb is not None:
        yield f"through the NAT gateway: {services.nat_gb} USD per GB"
    if config.private_link and services.endpoint_gb is not None:
        yield f"through the private endpoints: {services.endpoint_gb} USD per GB"
    if config.log_analytics and services.logs_gb is not None:
        yield f"Log Analytics: {services.logs_gb} USD per GB ingested"

"""Hourly cost of a stack on Azure as configured. Pure.

Not included: traffic to the internet, requests to storage, the private DNS zone, taxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from infra.azure.cost.prices import Prices, RegionPrices
from infra.azure.settings.config import AzureConfig
from infra.cost.bill import Bill, Parts

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
        for what, count, unit in services(config, here):
            parts.add(what, count, unit)
    return Bill(
        lines=tuple(parts.lines),
        missing=tuple(parts.missing),
        notes=tuple(_notes(config, here)),
        on_demand=None,
        origin=prices.origin(config.region),
    )


def services(config: AzureConfig, here: RegionPrices) -> list[tuple[str, int, Decimal | None]]:
    """Return (item, count, USD an hour each) of what a cluster has besides its machines; nothing in a network
    that the stack was given."""
    if config.subnet_id:
        return []
    known = here.services
    found = [("NAT gateway", 1, known.nat_hour), ("public IPv4 address", 1, known.ipv4_hour)]
    return [*found, ("private endpoints", ENDPOINTS, known.endpoint_hour)] if config.private_link else found


def lower(config: AzureConfig) -> dict[str, object]:
    """Return the settings by which a stack may cost less, with their values."""
    low, high = config.bounds
    workers = {"autoscale.max": high} if config.autoscale else {"workers": low}
    return {**workers, "workerSize": config.worker_size, "headSize": config.head_size}


def daily(bill: Bill) -> str:
    """Describe the cost of a day in USD."""
    return bill.cost(DAY)


def _machines(parts: Parts, config: AzureConfig, here: RegionPrices) -> None:
    for one in config.machines:
        parts.add(f"{one.words}, {one.size}", one.min_count, here.node(one.size), one.max_count)


def _notes(config: AzureConfig, here: RegionPrices) -> Iterator[str]:
    """Yield what is paid by the gigabyte; a price that is not known is said to be that."""
    known = here.services
    if not (config.storage_stack or config.storage_account_id):
        yield _by_gb("the storage account", known.blob_gb_month, "GB and month")
    if config.part == "storage":
        return
    if config.subnet_id:
        yield "the network is yours (subnetId): its gateway or firewall, and their traffic, are not counted"
    else:
        yield _by_gb("through the NAT gateway", known.nat_gb, "GB")
        if config.private_link:
            yield _by_gb("through the private endpoints", known.endpoint_gb, "GB")
    if config.log_analytics:
        yield _by_gb("Log Analytics", known.logs_gb, "GB ingested")


def _by_gb(what: str, unit: Decimal | None, per: str) -> str:
    return f"{what}: no price by the {per}" if unit is None else f"{what}: {unit} USD per {per}"

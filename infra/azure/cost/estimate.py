"""Output of `fab cost` for a stack on Azure."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from infra.azure.cost.hourly import PAUSE, daily, hourly
from infra.azure.cost.prices import Prices
from infra.azure.settings.config import AzureConfig
from infra.cost import estimate
from infra.cost.bill import Bill


def show(console: Console, config: AzureConfig, prices: Prices, *, results: Path | None = None) -> Bill:
    """Print the bill, the cost of a day, and the cost of a job."""
    bill = hourly(config, prices)
    remarks = [("remain", f"{daily(bill)}; {PAUSE}")] if config.part == "cluster" else []
    if bill.missing:
        remarks.append(
            ("missing", "`fab cost --refresh` queries Azure's public price list; no login is needed")
        )
    return estimate.show(console, bill, remarks, results=results)

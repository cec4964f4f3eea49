"""Output of `fab cost` for a stack on AWS."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from infra.aws.cost.hourly import egress_text, hourly
from infra.aws.cost.prices import Prices
from infra.aws.settings.config import AwsConfig
from infra.cost import estimate
from infra.cost.bill import Bill


def show(console: Console, config: AwsConfig, prices: Prices, *, results: Path | None = None) -> Bill:
    """Print the bill, the cost of both kinds of egress, and the cost of a job."""
    remarks = [("egress", egress_text(config, prices))]
    return estimate.show(console, hourly(config, prices), remarks, results=results)

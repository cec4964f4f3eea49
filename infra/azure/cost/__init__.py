"""Cost of a stack on Azure: an hourly bill, from a price table that can be refreshed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from infra.azure.settings.config import AzureConfig


def cost(
    config: AzureConfig, stack: str, *, root: Path, console: Console, results: Path, refresh: bool
) -> None:
    """Print the bill; with `refresh`, update the price table first.

    Raises:
        ConfigError: the operator's price file is not valid.
        ServiceDown: Azure's price list cannot be reached, or refuses to answer.
    """
    from infra.azure.cost import estimate, prices

    if refresh:
        # the SDK takes a second to import
        from bootstrap.console import print_line
        from infra.azure.cost import price_list

        print_line(console, f"prices   {price_list.refresh(config)}")
    estimate.show(console, config, prices.load(), results=results)

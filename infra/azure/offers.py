"""Regions of a stack on Azure: not compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from infra.azure.settings.config import AzureConfig


def offers(config: AzureConfig, stack: str, *, root: Path, console: Console) -> None:
    """Refuse: no table says which of HDInsight's regions offers which size.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        f"stack {stack!r}",
        "there is no table of the sizes that HDInsight's regions offer",
        f"Run `az hdinsight list-usage --location {config.region}` for a region's quota; or name a stack on "
        "AWS with --stack.",
    )

"""Settings of a stack on Azure HDInsight."""

from collections.abc import Collection

from infra.azure.settings.config import AzureConfig as Settings
from infra.azure.settings.sizes import table

__all__ = ["Settings", "region_names"]


def region_names() -> Collection[str]:
    """Names of the regions in our table."""
    return table().regions

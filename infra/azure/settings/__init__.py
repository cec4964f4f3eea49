"""Settings of a stack on Azure HDInsight."""

from collections.abc import Collection

from infra.azure.settings.config import AzureConfig as Settings
from infra.azure.settings.sizes import table

__all__ = ["Settings", "region_names"]


def region_names() -> Collection[str]:
    """Return the names of the regions in the table."""
    return table().regions

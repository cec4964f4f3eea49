"""Settings of a stack on AWS."""

from collections.abc import Collection

from infra.aws.settings.config import AwsConfig as Settings
from infra.aws.settings.regions import table

__all__ = ["Settings", "region_names"]


def region_names() -> Collection[str]:
    """Return the names of the regions in the table; AWS has more."""
    return table().regions

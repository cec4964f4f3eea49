"""Settings of a stack on this machine."""

from collections.abc import Collection

from infra.local.settings.config import LocalConfig as Settings

__all__ = ["Settings", "region_names"]


def region_names() -> Collection[str]:
    """Return no names: this machine has no regions."""
    return ()

"""Check for addresses that are reserved for documentation, as in the sample stack file. Pure."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from bootstrap.errors import ConfigError
from infra.settings.commands import set_command
from infra.settings.network import OWN_ADDRESS
from infra.tags import PROJECT

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

RANGES: Final = tuple(map(IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
"""RFC 5737."""


def fault(config: AzureConfig, stack: str) -> ConfigError | None:
    """Return the error if a cluster's `adminCidrs` contain such an address.

    Validation does not refuse them, since a preview is useful without an address of one's own.
    """
    if config.part == "storage":
        return None
    harm = (
        "you would reach neither SSH nor the gateway"
        if not config.own_storage
        else "the storage account's firewall would refuse the script that `pulumi up` puts there"
    )
    for place, cidr in enumerate(config.admin_cidrs):
        if any(cidr.subnet_of(example) for example in RANGES):
            return ConfigError(
                f"{PROJECT}:adminCidrs[{place}] = {cidr}",
                f"it is reserved for documentation (RFC 5737): {harm}; valid: your public address as a /32",
                f"Run `{set_command(f'adminCidrs[{place}]', OWN_ADDRESS)} --stack {stack}`.",
            )
    return None

"""Field types that the settings of every cloud share."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from infra.settings.network import EVERYBODY


def known_region(name: str, regions: Collection[str], table: str = "the table of regions") -> str:
    """Validate the name of a region; `table` is the table of regions in words, with its date if it has one.

    Raises:
        ValueError: the table of regions does not have it.
    """
    if name not in regions:
        raise ValueError(f"it is not in {table}")
    return name


def ipv4_range(value: object, *, ipv4_only: str) -> IPv4Network:
    """Parse an IPv4 range; a single address is a /32.

    Raises:
        ValueError: it is not a range, or an IPv6 range (`ipv4_only` says why that is refused).
    """
    network = ip_network(str(value))
    if isinstance(network, IPv4Network):
        return network
    # Pydantic's own message about IPv6 does not mention firewalls.
    raise ValueError(ipv4_only if network.prefixlen else EVERYBODY)


def _unset(value: object) -> object:
    """Map the empty text, which the engine passes for a key without a value, to None."""
    return None if value == "" else value


def _not_public_half(path: str) -> str:
    if path.endswith(".pub"):
        raise ValueError("it is a public key")
    return path


Unset = BeforeValidator(_unset)
"""For an optional field: an empty value is None."""
PrivateKeyFile = Annotated[str, AfterValidator(_not_public_half)]

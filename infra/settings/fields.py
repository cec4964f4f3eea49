"""Field types of settings that every cloud has."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from infra.settings.network import EVERYBODY


def known_region(name: str, regions: Collection[str]) -> str:
    """A region of the cloud's table.

    Raises:
        ValueError: the table does not have it.
    """
    if name not in regions:
        raise ValueError("the table of regions has none of that name")
    return name


def ipv4_range(value: object, *, ipv4_only: str) -> IPv4Network:
    """A range of IPv4 addresses; a single address is a /32.

    Raises:
        ValueError: the value is not a range, or one of IPv6, which `ipv4_only` says.
    """
    network = ip_network(str(value))
    if isinstance(network, IPv4Network):
        return network
    # What pydantic says of IPv6 is not said in the terms of a firewall.
    raise ValueError(ipv4_only if network.prefixlen else EVERYBODY)


def _unset(value: object) -> object:
    """A key without a value in the stack file is handed over as an empty text."""
    return None if value == "" else value


def _not_public_half(path: str) -> str:
    if path.endswith(".pub"):
        raise ValueError("that is the public half of a key")
    return path


Unset = BeforeValidator(_unset)
"""Of an optional field: an empty value is none."""
PrivateKeyFile = Annotated[str, AfterValidator(_not_public_half)]

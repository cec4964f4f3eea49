"""Defaults of a stack on AWS that depend on what its region offers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from infra.aws.settings import regions

DEFAULT_ZONES: Final = 3
DEFAULT_TYPES: Final = ("g4dn.xlarge", "g4dn.2xlarge", "g5.xlarge", "g5.2xlarge")
"""One GPU each, two generations, two sizes: when one spot pool has no capacity, another may."""
OTHER_TYPES: Final = ("g6.xlarge", "g6.2xlarge")
"""Types for a region that has none of those."""
DEFAULT_HEADS: Final = ("m6i.xlarge", "m7i.xlarge", "m5.xlarge")
"""The first one that the head's zone offers."""


def types(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the usual types that the region offers."""
    offerings = regions.table().regions[data["region"]].offerings
    for usual in (DEFAULT_TYPES, OTHER_TYPES):
        if found := tuple(name for name in usual if name in offerings):
            return found
    # Without GPUs there: refused, for a stack must not train on CPUs unasked.
    return DEFAULT_TYPES


def zones(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the first zones that offer a type; of a given network, all: `infra.aws.site` knows which."""
    there, names = regions.table().regions[data["region"]], data["instance_types"]
    if data.get("vpc"):
        return there.zones
    useful = tuple(zone for zone in there.zones if any(there.offered(name, [zone]) for name in names))
    return (useful or there.zones)[:DEFAULT_ZONES]


def head(data: Mapping[str, Any]) -> str:
    """Return the head's type."""
    there, given = regions.table().regions[data["region"]], data["zones"]
    where = given if data.get("vpc") else given[:1]
    return next((name for name in DEFAULT_HEADS if there.offered(name, where)), DEFAULT_HEADS[0])

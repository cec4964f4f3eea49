"""Instance types, zones and images by region, from one dated table. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

TABLE: Final = Path(__file__).with_name("regions.yaml")
SHOWN: Final = "/".join(TABLE.parts[-4:])
"""The table's path from the project's folder."""
Kind = Literal["gpu", "plain"]


@dataclass(frozen=True)
class InstanceType:
    """An instance type as in DescribeInstanceTypes; `compute_capability` is CUDA's, empty without GPUs."""

    name: str
    vcpus: int
    memory_mib: int
    gpus: int = 0
    gpu: str = ""
    compute_capability: str = ""
    nvme_gb: int = 0
    """Size of its instance store, whose disks are all NVMe SSDs."""
    arch: str = "x86_64"
    efa: int = 0
    """EFA interfaces at most: one for each of its network cards, whose indices count from 0."""

    @property
    def family(self) -> str:
        """Name of its family, such as `g6e`."""
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Region:
    """A region: its zones, and the zones that offer each type."""

    name: str
    zones: tuple[str, ...]
    offerings: dict[str, tuple[str, ...]]

    def offered(self, name: str, zones: Iterable[str]) -> tuple[str, ...]:
        """Return those of `zones` that offer the type."""
        return tuple(zone for zone in zones if zone in self.offerings.get(name, ()))


@dataclass(frozen=True)
class Table:
    """The whole table, with its source and date."""

    source: str
    date: date
    types: dict[str, InstanceType]
    regions: dict[str, Region]
    images: dict[Kind, dict[str, str]]
    """Kind → distribution → SSM parameter."""
    users: dict[str, str]
    """Distribution → default account of its images."""
    unsettled: tuple[str, ...] = ()
    """Regions of AWS whose offerings are not known."""


@lru_cache(maxsize=1)
def table() -> Table:
    """Load the table in this folder, once."""
    document: dict[str, Any] = yaml.safe_load(TABLE.read_text())
    types = {name: InstanceType(name, **entry) for name, entry in document["types"].items()}
    return Table(
        source=document["source"],
        date=document["date"],
        types=types,
        regions={name: _region(name, entry, types) for name, entry in document["regions"].items()},
        images=document["images"],
        users=document["users"],
        unsettled=tuple(document["unsettled"]),
    )


def _region(name: str, entry: dict[str, Any], types: dict[str, InstanceType]) -> Region:
    offered = entry["offerings"]
    letters = {kind.name: offered.get(kind.name, offered.get(kind.family, "")) for kind in types.values()}
    return Region(
        name=name,
        zones=tuple(f"{name}{letter}" for letter in entry["zones"]),
        offerings={
            kind: tuple(f"{name}{letter}" for letter in some) for kind, some in letters.items() if some
        },
    )

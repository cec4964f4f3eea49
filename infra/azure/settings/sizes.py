"""Machine sizes and regions of HDInsight, from one dated table. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

TABLE: Final = Path(__file__).with_name("sizes.yaml")
SHOWN: Final = "/".join(TABLE.parts[-4:])
"""The table's path from the project's folder."""
Role = Literal["head", "worker", "zookeeper"]
Seen = Literal["docs", "template", "memory"]

SERVICE: Final = "HDInsight"
MANAGING_REGIONS: Final = ("WestUS", "EastUS")
"""Regions from which HDInsight manages clusters of the regions it calls group 1."""


@dataclass(frozen=True)
class Size:
    """A machine size; its cores count against `family`; `seen` is the evidence that HDInsight supports it."""

    name: str
    vcpus: int
    memory_mib: int
    family: str
    roles: tuple[Role, ...]
    seen: Seen


@dataclass(frozen=True)
class Retired:
    """A series of which HDInsight creates no cluster since a day; `names` is a regular expression."""

    series: str
    names: str
    since: date


@dataclass(frozen=True)
class Region:
    """A region of Azure's public cloud; `name` is used in APIs, `title` on web pages."""

    name: str
    title: str
    service_tags: tuple[str, ...]
    """Service tags that may reach the cluster's port 443 when HDInsight opens the connections."""


@dataclass(frozen=True)
class Table:
    """The whole table, with its source and date."""

    source: str
    checked: date
    sizes: dict[str, Size]
    regions: dict[str, Region]
    retired: tuple[Retired, ...]

    def find(self, name: str) -> Size | None:
        """Return the size of that name in any case, or None."""
        return next((size for size in self.sizes.values() if size.name.lower() == name.lower()), None)

    def retired_as(self, name: str) -> Retired | None:
        """Return the retired series that a size is of, or None."""
        return next((one for one in self.retired if re.fullmatch(one.names, name, re.IGNORECASE)), None)

    def sizes_for(self, role: Role) -> tuple[str, ...]:
        """Return the names of the sizes that suit the role, in the table's order."""
        return tuple(size.name for size in self.sizes.values() if role in size.roles)


@lru_cache(maxsize=1)
def table() -> Table:
    """Load the table in this folder, once."""
    document: dict[str, Any] = yaml.safe_load(TABLE.read_text())
    return Table(
        source=document["source"],
        checked=document["checked"],
        sizes={
            name: Size(name, **{**entry, "roles": tuple(entry["roles"])})
            for name, entry in document["sizes"].items()
        },
        regions={name: _region(name, **entry) for name, entry in document["regions"].items()},
        retired=tuple(Retired(name, **entry) for name, entry in document["retired"].items()),
    )


def _region(name: str, title: str, tag: str, *, shared: bool = False) -> Region:
    # East US is itself a managing region: a rule must not name a source twice.
    sources = dict.fromkeys((tag, *(MANAGING_REGIONS if shared else ())))
    return Region(name, title, tuple(f"{SERVICE}.{source}" for source in sources))

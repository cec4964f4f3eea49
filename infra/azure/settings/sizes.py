"""What HDInsight runs on and where: machine sizes and regions from one dated table. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

TABLE: Final = Path(__file__).with_name("sizes.yaml")
Role = Literal["head", "worker", "zookeeper"]
Seen = Literal["docs", "template", "third-party", "memory"]

SERVICE: Final = "HDInsight"
MANAGING_REGIONS: Final = ("WestUS", "EastUS")
"""From where HDInsight manages the clusters of the regions that it calls group 1."""


@dataclass(frozen=True)
class Size:
    """A size of machine; its cores are counted by `family`; `seen`: who says that HDInsight takes it."""

    name: str
    vcpus: int
    memory_mib: int
    family: str
    roles: tuple[Role, ...]
    seen: Seen


@dataclass(frozen=True)
class Region:
    """A region of Azure's public cloud; `name` is what its interfaces take, `title` what its pages show."""

    name: str
    title: str
    service_tags: tuple[str, ...]
    """Whom a cluster there has to let in on port 443, where HDInsight opens the connections."""


@dataclass(frozen=True)
class Table:
    """The whole table, with where and when it comes from."""

    source: str
    checked: date
    sizes: dict[str, Size]
    regions: dict[str, Region]

    def find(self, name: str) -> Size | None:
        """The size of that name, in whatever letters Azure or a user has it; None where it is not known."""
        return next((size for size in self.sizes.values() if size.name.lower() == name.lower()), None)

    def sizes_for(self, role: Role) -> tuple[str, ...]:
        """Names of the sizes that suit the role, in the table's order."""
        return tuple(size.name for size in self.sizes.values() if role in size.roles)


@lru_cache(maxsize=1)
def table() -> Table:
    """The table in this folder, read once."""
    document: dict[str, Any] = yaml.safe_load(TABLE.read_text())
    return Table(
        source=document["source"],
        checked=document["checked"],
        sizes={
            name: Size(name, **{**entry, "roles": tuple(entry["roles"])})
            for name, entry in document["sizes"].items()
        },
        regions={name: _region(name, **entry) for name, entry in document["regions"].items()},
    )


def _region(name: str, title: str, tag: str, *, shared: bool = False) -> Region:
    # East US is one of the managing regions itself: a rule takes no source twice.
    sources = dict.fromkeys((tag, *(MANAGING_REGIONS if shared else ())))
    return Region(name, title, tuple(f"{SERVICE}.{source}" for source in sources))

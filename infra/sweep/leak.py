"""Leftover resources, their cost, and the commands that delete them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from infra.cost.bill import HOURS

GLOBAL: Final = "global"
"""Region of resources that have none."""
FREE: Final = Decimal(0)


@dataclass(frozen=True)
class Leak:
    """A leftover resource. `usd_month` is 0 if it is free by itself, None if its price is not known."""

    region: str
    kind: str
    id: str
    name: str
    stack: str
    usd_month: Decimal | None
    command: str
    """For a POSIX shell; a comment if the resource is deleted with another one."""
    rank: int
    """Order of deletion among the resources of a region."""
    before: str = ""
    """Command to run for all resources of this kind before the first `command`."""

    @property
    def order(self) -> tuple[bool, str, int, str]:
        """Sort key: by region, then in the order of deletion; global resources come last."""
        return self.region == GLOBAL, self.region, self.rank, self.id


@dataclass(frozen=True)
class Unsearched:
    """A kind of resource that could not be searched in a region, and why."""

    region: str
    kind: str
    why: str


@dataclass
class Results:
    """Leftovers found in one place, and what could not be searched there."""

    leaks: list[Leak] = field(default_factory=list)
    unsearched: list[Unsearched] = field(default_factory=list)


def month(hourly: Decimal | None) -> Decimal | None:
    """Convert USD an hour to USD a month; None stays None."""
    return None if hourly is None else hourly * HOURS


def commands(leaks: Iterable[Leak], first: Sequence[str] = ()) -> list[str]:
    """Return the commands that delete all leftovers, in order, after `first`; each line once."""
    lines = [*first]
    ordered = sorted(leaks, key=lambda leak: leak.order)
    for region, kind in dict.fromkeys((leak.region, leak.kind) for leak in ordered):
        same = [leak for leak in ordered if (leak.region, leak.kind) == (region, kind)]
        lines += [leak.before for leak in same if leak.before]
        lines += [leak.command for leak in same]
    return list(dict.fromkeys(lines))

"""What a sweep finds: a thing that bears our tags, what it costs, and the command that removes it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from infra.cost.bill import HOURS

GLOBAL: Final = "global"
"""Where things are that have no region."""
FREE: Final = Decimal(0)


@dataclass(frozen=True)
class Leak:
    """A thing of ours. `usd_month`: 0 where it costs nothing by itself, None where its price is not known."""

    region: str
    kind: str
    id: str
    name: str
    stack: str
    usd_month: Decimal | None
    command: str
    """For a POSIX shell; a comment, where it goes with something else that is found too."""
    rank: int
    """When it can be removed, among the things of its region."""
    before: str = ""
    """What has to be typed for every thing of this kind before the first one's `command`."""

    @property
    def order(self) -> tuple[bool, str, int, str]:
        """By region, and there in the order in which things can be removed; what has no region comes last."""
        return self.region == GLOBAL, self.region, self.rank, self.id


@dataclass(frozen=True)
class Unsearched:
    """A kind of thing that could not be looked for in a region, and why."""

    region: str
    kind: str
    why: str


@dataclass
class Results:
    """What one place was found to have, and what could not be looked for there."""

    leaks: list[Leak] = field(default_factory=list)
    unsearched: list[Unsearched] = field(default_factory=list)


def month(hourly: Decimal | None) -> Decimal | None:
    """USD for a month from USD for an hour; None stays None."""
    return None if hourly is None else hourly * HOURS


def commands(leaks: Iterable[Leak], first: Sequence[str] = ()) -> list[str]:
    """What removes them all, to be typed in this order after `first`; each line once."""
    lines = [*first]
    ordered = sorted(leaks, key=lambda leak: leak.order)
    for region, kind in dict.fromkeys((leak.region, leak.kind) for leak in ordered):
        same = [leak for leak in ordered if (leak.region, leak.kind) == (region, kind)]
        lines += [leak.before for leak in same if leak.before]
        lines += [leak.command for leak in same]
    return list(dict.fromkeys(lines))

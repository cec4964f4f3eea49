"""Receipt of a job: node hours, their prices, lost and waiting time, and what it has cost. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from bootstrap.money import Amount, total
from jobs.report.stays import Losses

EXACT: Final = Decimal("0.000001")
"""Steps of amounts in files."""


@dataclass(frozen=True)
class Line:
    """Line of a receipt: nodes of a type and market, or what is billed beside them."""

    what: str
    hours: Decimal
    """Of all nodes together."""
    cost: Amount
    count: int = 1
    role: str = ""
    """Role of nodes; empty for what is no node."""
    type: str = ""
    market: str = ""

    @property
    def each(self) -> Amount:
        """Mean price of an hour."""
        return self.cost * (1 / self.hours) if self.hours else Amount(missing=self.cost.missing)

    def document(self) -> dict[str, Any]:
        """Return the line for summary.json."""
        known = {"role": self.role, "type": self.type, "market": self.market} if self.role else {}
        return {
            "what": self.what,
            **known,
            "count": self.count,
            "hours": float(self.hours.quantize(EXACT)),
            "usd": money(self.cost),
        }


@dataclass(frozen=True)
class Estimate:
    """Cost that was expected of a job before it began, and the basis of that."""

    cost: Amount
    seconds: float
    basis: str


@dataclass(frozen=True)
class Receipt:
    """Receipt of a job that has ended, however it has."""

    begin: float
    end: float
    outcome: str
    lines: tuple[Line, ...]
    losses: Losses
    source: str
    """Where the prices are from."""
    free: bool = False
    """Nothing of the cluster is billed."""
    estimate: Estimate | None = None
    notes: tuple[str, ...] = ()
    """What limits these figures."""
    like: str = ""
    """The same for jobs that do the same work, by their specifications."""

    @property
    def wall_seconds(self) -> float:
        """Seconds from submission to end."""
        return round(max(0.0, self.end - self.begin), 3)

    @property
    def cost(self) -> Amount:
        """Cost of the job."""
        return total([line.cost for line in self.lines])

    def document(self) -> dict[str, Any]:
        """Return the receipt for summary.json."""
        before = self.estimate
        return {
            "outcome": self.outcome,
            "usd": money(self.cost),
            "prices": self.source,
            "begin": self.begin,
            "wall_seconds": self.wall_seconds,
            "lost_seconds": self.losses.seconds,
            "lost_iterations": self.losses.iterations,
            "waiting_seconds": self.losses.waiting_seconds,
            "interruptions": self.losses.interruptions,
            "announced": self.losses.announced,
            "nodes": [line.document() for line in self.lines if line.role],
            "other": [line.document() for line in self.lines if not line.role],
            "estimate": before
            and {"usd": money(before.cost), "seconds": round(before.seconds, 3), "basis": before.basis},
            "notes": list(self.notes),
            "like": self.like,
        }


def money(amount: Amount) -> dict[str, Any]:
    """Return an amount for summary.json; `missing` has no price and is in neither figure.

    Where nothing has a price, both figures are None: 0 would be taken for free.
    """
    if amount.unpriced:
        return {"low": None, "high": None, "missing": list(amount.missing)}
    low, high = (float(figure.quantize(EXACT)) for figure in (amount.low, amount.high))
    return {"low": low, "high": high, "missing": list(amount.missing)}

"""Hourly bill of a stack, in any cloud. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rich.table import Table

from bootstrap.money import CENT, EXACT, span

HOURS: Final = Decimal(730)
"""Hours of a month, as the clouds' own calculators count them."""
WHOLE: Final = Decimal(1)


@dataclass(frozen=True)
class Line:
    """A line of a bill: `count` items at `low` to `high` USD an hour each; with a single price, both are
    equal.

    With `max_count`, there are `count` to `max_count` items.
    """

    what: str
    count: int
    low: Decimal
    high: Decimal
    note: str = ""
    worker: bool = False
    """True if the price would differ if every worker were on demand."""
    max_count: int | None = None

    @property
    def range(self) -> tuple[Decimal, Decimal]:
        """USD an hour for all items."""
        return self.count * self.low, (self.max_count or self.count) * self.high

    @property
    def count_text(self) -> str:
        """Number of items: `3`, or `3 to 6`."""
        return str(self.count) if self.max_count is None else f"{self.count} to {self.max_count}"


@dataclass(frozen=True)
class Bill:
    """Hourly cost of a stack. `missing` items have no price and are in no sum; `notes` are paid by the
    gigabyte.

    `on_demand` is the range of the total with every worker on demand, over the types that a worker may be of
    and that have a price; None if none has one.
    """

    lines: tuple[Line, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    on_demand: tuple[Decimal, Decimal] | None
    origin: str

    @property
    def low(self) -> Decimal:
        """Minimum in USD an hour: lowest spot prices, fewest workers."""
        return sum((line.range[0] for line in self.lines), Decimal(0))

    @property
    def high(self) -> Decimal:
        """Maximum in USD an hour: highest spot prices, most workers."""
        return sum((line.range[1] for line in self.lines), Decimal(0))

    @property
    def monthly(self) -> tuple[Decimal, Decimal]:
        """USD for 730 hours, minimum and maximum."""
        return self.low * HOURS, self.high * HOURS

    @property
    def unpriced(self) -> bool:
        """True if nothing that the stack has by the hour has a price, so that no sum is known."""
        return bool(self.missing) and not self.high

    @property
    def least(self) -> str:
        """Word before a sum: `at least` if an item has no price, else nothing."""
        return "at least " if self.missing else ""

    def cost(self, hours: Decimal, to: Decimal = CENT) -> str:
        """Format the cost of some hours: `1.50 USD`, `at least 1.50 USD`, or `unknown`; never 0 for a price
        that is not known."""
        if self.unpriced:
            return "unknown"
        return f"{self.least}{span(self.low * hours, self.high * hours, to)} USD"

    def cost_on_demand(self, hours: Decimal) -> str:
        """Format the cost of some hours with every worker on demand."""
        if self.on_demand is None:
            return "unknown"
        low, high = self.on_demand
        return f"{self.least}{span(low * hours, high * hours)} USD"

    @property
    def total_text(self) -> str:
        """Total in one line, with the source of the prices and the items without one."""
        if self.unpriced:
            return f"unknown: no price of {', '.join(self.missing)}; prices from {self.origin}"
        total = f"{self.cost(WHOLE)}/h ({self.cost(HOURS, WHOLE)} a month)"
        if self.on_demand is not None:
            total += f", {self.cost_on_demand(WHOLE)}/h with every worker on demand"
        without = f"; without {', '.join(self.missing)}: no price" if self.missing else ""
        return f"{total}{without}; prices from {self.origin}"

    def table(self) -> Table:
        """Return the bill as a table."""
        shown = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("what", "count", "USD/h each", "USD/h"):
            shown.add_column(name, justify="left" if name == "what" else "right")
        for line in self.lines:
            what = f"{line.what} ({line.note})" if line.note else line.what
            shown.add_row(what, line.count_text, span(line.low, line.high, EXACT), span(*line.range, EXACT))
        for what in self.missing:
            shown.add_row(what, "", "no price", "")
        shown.add_section()
        total = "unknown" if self.unpriced else f"{self.least}{span(self.low, self.high, EXACT)}"
        shown.add_row("total", "", "", total, style="bold")
        return shown


class Parts:
    """Collects the lines of a bill, and the items without a price."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.missing: list[str] = []

    def add(self, what: str, count: int, unit: Decimal | None, max_count: int | None = None) -> None:
        """Add `count` items at a single price."""
        if unit is None:
            self.missing.append(what)
        else:
            self.lines.append(
                Line(what, count, unit, unit, max_count=None if max_count == count else max_count)
            )

"""What a stack costs by the hour, line by line, whatever cloud it is in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rich.table import Table

HOURS: Final = Decimal(730)
"""Of a month, as the clouds' own calculators count them."""
WHOLE: Final = Decimal(1)
CENT: Final = Decimal("0.01")
EXACT: Final = Decimal("0.0001")


@dataclass(frozen=True)
class Line:
    """So many of a thing, each for so many USD an hour; where there is one price, `low` and `high` are it.

    There are `count` of them, or where `max_count` is given up to so many.
    """

    what: str
    count: int
    low: Decimal
    high: Decimal
    note: str = ""
    worker: bool = False
    """Whether it would be another price if every worker were on demand."""
    max_count: int | None = None

    @property
    def range(self) -> tuple[Decimal, Decimal]:
        """USD an hour for all of them."""
        return self.count * self.low, (self.max_count or self.count) * self.high

    @property
    def count_text(self) -> str:
        """`3`, or `3 to 6`."""
        return str(self.count) if self.max_count is None else f"{self.count} to {self.max_count}"


@dataclass(frozen=True)
class Bill:
    """What a stack costs by the hour. `missing` has no price and is in no sum; `notes`: paid by the gigabyte.

    `on_demand` is the sum with every worker on demand; None where their price is not known.
    """

    lines: tuple[Line, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    on_demand: Decimal | None
    origin: str

    @property
    def low(self) -> Decimal:
        """USD an hour at the least: the lowest spot prices, the fewest workers."""
        return sum((line.range[0] for line in self.lines), Decimal(0))

    @property
    def high(self) -> Decimal:
        """USD an hour at the most: the highest spot prices, the most workers."""
        return sum((line.range[1] for line in self.lines), Decimal(0))

    @property
    def monthly(self) -> tuple[Decimal, Decimal]:
        """USD for 730 hours."""
        return self.low * HOURS, self.high * HOURS

    @property
    def total_text(self) -> str:
        """The total in one line, with whose prices they are and what has none."""
        total = f"{span(self.low, self.high)} USD/h ({span(*self.monthly, WHOLE)} USD a month)"
        if self.on_demand is not None:
            total += f", {usd(self.on_demand)} USD/h with every worker on demand"
        without = f"; without {', '.join(self.missing)}: no price" if self.missing else ""
        return f"{total}{without}; by {self.origin}"

    def table(self) -> Table:
        """Line by line, as people see it."""
        shown = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("what", "count", "USD/h each", "USD/h"):
            shown.add_column(name, justify="left" if name == "what" else "right")
        for line in self.lines:
            what = f"{line.what} ({line.note})" if line.note else line.what
            shown.add_row(what, line.count_text, span(line.low, line.high, EXACT), span(*line.range, EXACT))
        shown.add_section()
        shown.add_row("total", "", "", span(self.low, self.high, EXACT), style="bold")
        return shown


class Parts:
    """Collects lines, and what has no price."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.missing: list[str] = []

    def add(self, what: str, count: int, unit: Decimal | None, max_count: int | None = None) -> None:
        """So many of a thing with one price."""
        if unit is None:
            self.missing.append(what)
        else:
            self.lines.append(
                Line(what, count, unit, unit, max_count=None if max_count == count else max_count)
            )


def usd(amount: Decimal, to: Decimal = CENT) -> str:
    """An amount, rounded to a cent, or to what else `to` says."""
    return f"{amount.quantize(to):,f}"


def span(low: Decimal, high: Decimal, to: Decimal = CENT) -> str:
    """`LOW to HIGH`, or one amount where both are the same when they are rounded so."""
    first, last = usd(low, to), usd(high, to)
    return first if first == last else f"{first} to {last}"

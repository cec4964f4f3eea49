"""Amounts of money in USD: ranges, and amounts of which a part has no price. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

CENT: Final = Decimal("0.01")
EXACT: Final = Decimal("0.0001")
HOUR: Final = Decimal(3600)
"""Seconds."""
_ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Amount:
    """`low` to `high` USD, equal for a single amount; `missing` has no price and is in neither."""

    low: Decimal = _ZERO
    high: Decimal = _ZERO
    missing: tuple[str, ...] = ()

    @classmethod
    def unknown(cls, what: str) -> Amount:
        """Return the amount for something without a price."""
        return cls(missing=(what,))

    def __add__(self, other: Amount) -> Amount:
        missing = tuple(dict.fromkeys((*self.missing, *other.missing)))
        return Amount(self.low + other.low, self.high + other.high, missing)

    def __mul__(self, factor: Decimal | int) -> Amount:
        return Amount(self.low * factor, self.high * factor, self.missing)

    @property
    def unpriced(self) -> bool:
        """True if no part has a price, so that the figures say nothing."""
        return bool(self.missing) and not self.high

    def figure(self, to: Decimal = CENT) -> str:
        """`0.53`, `0.53 to 0.57`; `at least …` where a part has no price, or `unknown`."""
        if self.unpriced:
            return "unknown"
        return f"{'at least ' if self.missing else ''}{span(self.low, self.high, to)}"

    @property
    def text(self) -> str:
        """The same in USD: `at least 0.53 USD`."""
        return "unknown" if self.unpriced else f"{self.figure()} USD"

    @property
    def why(self) -> str:
        """Parts without a price, in words; empty if all have one."""
        return f"no price of {', '.join(self.missing)}" if self.missing else ""


def total(amounts: list[Amount]) -> Amount:
    """Return the sum of amounts."""
    return sum(amounts, Amount())


def hours_of(seconds: float) -> Decimal:
    """Return hours, exact to the millisecond."""
    return Decimal(round(seconds * 1000)) / 1000 / HOUR


def usd(amount: Decimal, to: Decimal = CENT) -> str:
    """Format an amount, rounded to a cent or to `to`."""
    return f"{amount.quantize(to):,f}"


def span(low: Decimal, high: Decimal, to: Decimal = CENT) -> str:
    """Format a range as `LOW to HIGH`, or as one amount if both round to the same."""
    first, last = usd(low, to), usd(high, to)
    return first if first == last else f"{first} to {last}"

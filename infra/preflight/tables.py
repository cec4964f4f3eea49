"""Check of the age of the project's tables: prices, and what regions offer."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from infra.preflight.finding import Finding, LocalCheck

NAME: Final = "tables"
MAX_DAYS: Final = 90


@dataclass(frozen=True)
class DatedTable:
    """A table of facts about a cloud."""

    what: str
    """What it holds, as in `prices of eu-west-1`."""
    date: datetime.date | None
    """Day on which it was right; None if it has nothing for this stack."""
    fix: str
    """Command that brings it up to date."""


def prices_of(region: str, date: datetime.date | None, stack: str) -> DatedTable:
    """Return the table of a region's prices, which a command of the stack refreshes."""
    return DatedTable(f"prices of {region}", date, f"Run `fab cost --refresh --stack {stack}`.")


def offers(what: str, date: datetime.date, shown: str) -> DatedTable:
    """Return a table of what regions offer, which is in the project's file `shown`."""
    return DatedTable(what, date, f"Update the project, or {shown}: its head says how.")


def today() -> datetime.date:
    """Return the day, in the tables' time zone."""
    return datetime.datetime.now(datetime.timezone.utc).date()


def checks(tables: Callable[[], Sequence[DatedTable]]) -> list[LocalCheck]:
    """Return the check; `tables` reads them, and may fail with an expected error."""
    return [LocalCheck(NAME, lambda: _ages(tables(), today()))]


def _ages(tables: Sequence[DatedTable], now: datetime.date) -> Finding:
    """Compare the tables' dates with MAX_DAYS. Pure."""
    faults = [(table, _fault(table, now)) for table in tables]
    old = [(table, fault) for table, fault in faults if fault]
    if not old:
        said = ", ".join(f"{table.what} of {table.date}" for table in tables)
        return Finding(NAME, "passed", f"{said}: none is older than {MAX_DAYS} days")
    return Finding(
        NAME,
        "note",
        "; ".join(fault for _, fault in old),
        " ".join(dict.fromkeys(table.fix for table, _ in old)),
    )


def _fault(table: DatedTable, now: datetime.date) -> str:
    if table.date is None:
        return f"the table has no {table.what}"
    days = (now - table.date).days
    if days < 0:
        return f"{table.what} are of {table.date}, which this machine's clock has not reached"
    return f"{table.what} are of {table.date}, {days} days ago" if days > MAX_DAYS else ""

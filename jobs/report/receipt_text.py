"""Receipts on the terminal: a table of what was billed, and lines about cost and time. Pure."""

from __future__ import annotations

from typing import Final

from rich.table import Table

from bootstrap.money import EXACT, Amount, usd
from jobs.report.receipt import Estimate, Receipt

_PERCENT: Final = 100


def lines(done: Receipt) -> list[str]:
    """Return the lines of a receipt for the terminal: its cost and its time, then its notes."""
    cost = done.cost
    paid = f"cost     {cost.text}" + (f": {cost.why}" if cost.missing else "")
    if done.estimate is not None:
        paid += f"; estimated before: {done.estimate.cost.text}{_against(cost, done.estimate.cost)}"
    return [
        f"{paid} (prices: {done.source})",
        f"time     {_time(done)}",
        *(f"note     {note}" for note in done.notes),
    ]


def estimate_line(expectation: Estimate) -> str:
    """Return the line about a job's cost before it begins."""
    seconds = f"{expectation.seconds:,.0f} s"
    return f"estimate {expectation.cost.text} for {seconds}, by {expectation.basis} at current prices"


def table(done: Receipt) -> Table:
    """Return the table of what was billed."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("billed", "count", "hours", "USD/h", "USD"):
        shown.add_column(name, justify="left" if name == "billed" else "right")
    for line in done.lines:
        each = line.each
        shown.add_row(
            line.what,
            str(line.count),
            usd(line.hours, EXACT),
            "no price" if each.unpriced else each.figure(EXACT),
            "" if line.cost.unpriced else line.cost.figure(EXACT),
        )
    return shown


def _time(done: Receipt) -> str:
    lost = done.losses
    again = f" ({lost.iterations:,} iterations again)" if lost.iterations else ""
    seconds = "unknown" if lost.seconds is None else f"{lost.seconds:,.1f} s"
    words = [f"wall {done.wall_seconds:,.1f} s", f"lost {seconds}{again}"]
    words.append(f"waiting {lost.waiting_seconds:,.1f} s")
    words.append(f"interruptions {lost.interruptions} ({lost.announced} announced)")
    return ", ".join(words)


def _against(cost: Amount, before: Amount) -> str:
    """Return the difference from an estimate, by the highest figures; empty if one is not known whole."""
    if cost.missing or before.missing or not before.high:
        return ""
    percent = round((cost.high - before.high) / before.high * _PERCENT)
    return f" ({percent:+} %)"

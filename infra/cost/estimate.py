"""Output of `fab cost`: the bill of a stack, and the cost of a job at the measured speed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bootstrap.console import print_line
from bootstrap.money import Amount
from infra.cost.bill import Bill

MILLION: Final = 1_000_000


@dataclass(frozen=True)
class FinishedJob:
    """A finished job: the speed of all its executors together, and its total duration."""

    job: str
    images_per_s: float
    executors: int
    iterations: int
    seconds: float
    paid: Amount | None = None
    """Cost by its receipt, where it has one."""


def newest_job(results: Path) -> FinishedJob | None:
    """Return the newest job below `results` whose summary has a speed, or None."""
    summaries = sorted(results.glob("*/summary.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in summaries:
        try:
            summary = json.loads(file.read_text())
            speed = summary["images_per_s"]
            if speed:
                return FinishedJob(
                    job=str(summary["job"]),
                    images_per_s=float(speed),
                    executors=int(summary["executors"]),
                    iterations=int(summary["iterations"]),
                    seconds=sum(map(float, summary["seconds"].values())),
                    paid=_paid(summary.get("receipt")),
                )
        except (ArithmeticError, ValueError, KeyError, TypeError, AttributeError):
            continue  # incomplete, or written by another version
    return None


def training_cost(bill: Bill, images_per_s: float, images: int) -> str:
    """Describe the cost of training on `images` images (iterations × batch × executors) at that speed.

    Raises:
        ValueError: the speed or the number of images is not positive.
    """
    if images_per_s <= 0 or images <= 0:
        raise ValueError(f"{images} images at {images_per_s} images/s: both have to be positive")
    seconds = Decimal(images) / Decimal(str(images_per_s))
    return f"{images:,} images at {images_per_s:,.0f} images/s: {_for(bill, seconds)}"


def rerun_cost(bill: Bill, before: FinishedJob) -> str:
    """Describe the cost of running a job again, with executors as fast as before."""
    what = f"{before.iterations:,} iterations by {before.executors} executors"
    return f"{before.job} again ({what}): {_for(bill, Decimal(str(before.seconds)))}"


def show(
    console: Console,
    bill: Bill,
    remarks: Sequence[tuple[str, str]] = (),
    *,
    results: Path | None = None,
    images: int = MILLION,
) -> Bill:
    """Print the bill, the prices by the gigabyte, and the cost of a job at the newest measured speed.

    `remarks` are (word, text) pairs that only one cloud has.
    """
    console.print(bill.table())
    lines = [f"total    {bill.total_text}", *(f"plus     {note}" for note in bill.notes)]
    lines += [f"{word:<8} {text}" for word, text in remarks]
    before = newest_job(results) if results else None
    if before is None:
        lines.append("a job    no speed has been measured yet; `fab submit-mnist` measures it")
    else:
        lines += [
            f"a job    {rerun_cost(bill, before)}",
            *([f"         its receipt then: {before.paid.text}"] if before.paid else []),
            f"         {training_cost(bill, before.images_per_s, images)}",
        ]
    for line in lines:
        print_line(console, line)
    return bill


def _paid(receipt: Mapping[str, Any] | None) -> Amount | None:
    """Return the cost in a receipt; None without one, as in summaries of earlier versions."""
    if not receipt:
        return None
    paid = receipt["usd"]
    missing = tuple(map(str, paid["missing"]))
    if paid["low"] is None:
        return Amount(missing=missing)
    return Amount(Decimal(str(paid["low"])), Decimal(str(paid["high"])), missing)


def _for(bill: Bill, seconds: Decimal) -> str:
    hours = seconds / 3600
    text = f"{_duration(hours)}, {bill.cost(hours)}"
    if bill.on_demand is not None:
        text += f", {bill.cost_on_demand(hours)} with every worker on demand"
    return text


def _duration(hours: Decimal) -> str:
    minutes = hours * 60
    if minutes < 1:
        return f"{minutes * 60:.0f} s"
    return f"{minutes:.0f} min" if hours < 2 else f"{hours:.1f} h"  # noqa: PLR2004

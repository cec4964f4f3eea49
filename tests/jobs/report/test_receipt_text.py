"""Receipts on the terminal."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

from rich.console import Console

from bootstrap.money import Amount
from jobs.report.receipt import Estimate, Line, Receipt
from jobs.report.receipt_text import estimate_line, lines, table
from jobs.report.stays import Losses


def usd(low: str, high: str = "", *missing: str) -> Amount:
    return Amount(Decimal(low), Decimal(high or low), missing)


def receipt(**changes: Any) -> Receipt:
    given: dict[str, Any] = {
        "begin": 0.0,
        "end": 3600.0,
        "outcome": "done",
        "lines": (
            Line("head, m6i.xlarge on demand", Decimal(1), usd("0.2"), 1, "head", "m6i.xlarge", "on-demand"),
            Line("workers, g4dn.xlarge on spot", Decimal(2), usd("0.5", "0.7"), 2, "worker"),
        ),
        "losses": Losses(),
        "source": "a table of 2026-11-24",
    }
    return Receipt(**{**given, **changes})


def test_cost_and_time_take_a_line_each() -> None:
    assert lines(receipt()) == [
        "cost     0.70 to 0.90 USD (prices: a table of 2026-11-24)",
        "time     wall 3,600.0 s, lost 0.0 s, waiting 0.0 s, interruptions 0 (0 announced)",
    ]


def test_what_was_lost_is_told_with_its_iterations() -> None:
    found = lines(receipt(losses=Losses(3, 2, 1200, 60.5, 31.0)))
    assert found[1].endswith(
        "lost 60.5 s (1,200 iterations again), waiting 31.0 s, interruptions 3 (2 announced)"
    )
    unknown = lines(receipt(losses=Losses(1, 0, 20, None, 1.0)))
    assert "lost unknown (20 iterations again)" in unknown[1]


def test_the_cost_is_set_against_the_estimate_by_the_highest_figures() -> None:
    found = lines(receipt(estimate=Estimate(usd("0.5", "0.75"), 3000.0, "mnist-1")))
    assert "; estimated before: 0.50 to 0.75 USD (+20 %)" in found[0]


def test_a_cost_that_is_not_known_whole_is_compared_with_nothing() -> None:
    line = Line("NAT gateway", Decimal(1), Amount.unknown("NAT gateway"))
    found = lines(receipt(lines=(line,), estimate=Estimate(usd("0.5"), 3000.0, "mnist-1")))
    assert found[0].startswith(
        "cost     unknown: no price of NAT gateway; estimated before: 0.50 USD (prices"
    )


def test_notes_follow() -> None:
    assert lines(receipt(notes=("AWS was not asked",)))[2:] == ["note     AWS was not asked"]


def test_the_table_has_a_row_for_everything_billed() -> None:
    out = io.StringIO()
    done = receipt(lines=(*receipt().lines, Line("NAT gateway", Decimal(1), Amount.unknown("NAT gateway"))))
    Console(file=out, width=120).print(table(done))
    rows = [" ".join(row.split()) for row in out.getvalue().splitlines()]
    assert rows == [
        "billed count hours USD/h USD",
        "head, m6i.xlarge on demand 1 1.0000 0.2000 0.2000",
        "workers, g4dn.xlarge on spot 2 2.0000 0.2500 to 0.3500 0.5000 to 0.7000",
        "NAT gateway 1 1.0000 no price",
    ]


def test_a_row_of_which_a_part_has_no_price_is_a_minimum() -> None:
    out = io.StringIO()
    some = Amount(Decimal("0.5"), Decimal("0.7"), ("g6.xlarge on spot",))
    Console(file=out, width=120).print(table(receipt(lines=(Line("workers", Decimal(2), some),))))
    assert "at least 0.2500 to 0.3500" in out.getvalue()
    assert "at least 0.5000 to 0.7000" in out.getvalue()


def test_an_estimate_names_the_job_that_it_is_by() -> None:
    found = estimate_line(Estimate(usd("0.5", "0.75"), 3000.0, "mnist-1"))
    assert found == "estimate 0.50 to 0.75 USD for 3,000 s, by mnist-1 at current prices"

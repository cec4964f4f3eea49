"""Cost of a job at the measured throughput."""

from __future__ import annotations

import io
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.cost import estimate
from infra.cost.bill import Bill, Line

BILL = Bill(
    lines=(Line("all of it", 1, Decimal(2), Decimal(3)),),
    missing=(),
    notes=(),
    on_demand=(Decimal(6), Decimal(8)),
    origin="us",
)


def ran(results: Path, job: str, at: int = 0, **summary: Any) -> None:
    """A job that left its summary at that second."""
    file = results / job / "summary.json"
    file.parent.mkdir(parents=True)
    whole = {
        "job": job,
        "images_per_s": 2500.0,
        "executors": 2,
        "iterations": 2000,
        "seconds": {"start": 10.0, "train": 1790.0},
        **summary,
    }
    file.write_text(json.dumps(whole))
    os.utime(file, (at, at))


def test_a_job_costs_its_hours() -> None:
    assert estimate.training_cost(BILL, 1000, 7_200_000) == (
        "7,200,000 images at 1,000 images/s: 2.0 h, 4.00 to 6.00 USD, 12.00 to 16.00 USD with every "
        "worker on demand"
    )


@pytest.mark.parametrize(
    ("images", "said"), [(30_000, ": 30 s, "), (600_000, ": 10 min, "), (36_000_000, ": 10.0 h, ")]
)
def test_a_time_is_told_in_the_unit_that_fits(images: int, said: str) -> None:
    assert said in estimate.training_cost(BILL, 1000, images)


@pytest.mark.parametrize(("speed", "images"), [(0, 1), (-1, 1), (1, 0)])
def test_a_speed_or_a_job_of_nothing_is_a_mistake_of_the_caller(speed: float, images: int) -> None:
    with pytest.raises(ValueError, match="have to be positive"):
        estimate.training_cost(BILL, speed, images)


def test_where_no_worker_has_an_on_demand_price_none_is_told() -> None:
    bill = Bill(lines=BILL.lines, missing=(), notes=(), on_demand=None, origin="us")
    assert estimate.training_cost(bill, 1000, 7_200_000).endswith("2.0 h, 4.00 to 6.00 USD")


def test_the_newest_job_with_a_speed_is_taken(tmp_path: Path) -> None:
    ran(tmp_path, "old", at=1)
    ran(tmp_path, "new", at=2, images_per_s=5000.0)
    ran(tmp_path, "only-scored", at=3, images_per_s=None)
    found = estimate.newest_job(tmp_path)
    assert found == estimate.FinishedJob(
        job="new", images_per_s=5000.0, executors=2, iterations=2000, seconds=1800.0
    )


def test_without_a_job_there_is_no_speed(tmp_path: Path) -> None:
    assert estimate.newest_job(tmp_path) is None
    assert estimate.newest_job(tmp_path / "nosuch") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images_per_s": 1, "job": "j", "seconds": 5}'])
def test_a_summary_that_cannot_be_read_is_passed_over(tmp_path: Path, text: str) -> None:
    ran(tmp_path, "good", at=1)
    ran(tmp_path, "bad", at=2)
    (tmp_path / "bad" / "summary.json").write_text(text)
    found = estimate.newest_job(tmp_path)
    assert found is not None
    assert found.job == "good"


def test_the_same_job_again_costs_its_own_time(tmp_path: Path) -> None:
    ran(tmp_path, "mnist-1")
    before = estimate.newest_job(tmp_path)
    assert before is not None
    assert estimate.rerun_cost(BILL, before) == (
        "mnist-1 again (2,000 iterations by 2 executors): 30 min, 1.00 to 1.50 USD, "
        "3.00 to 4.00 USD with every worker on demand"
    )


def test_a_job_with_a_receipt_shows_what_it_has_cost_then(tmp_path: Path) -> None:
    paid = {"usd": {"low": 0.4, "high": 0.5, "missing": ["NAT gateway"]}}
    ran(tmp_path, "mnist-1", receipt=paid)
    out = io.StringIO()
    estimate.show(Console(file=out, width=200), BILL, results=tmp_path)
    assert "         its receipt then: at least 0.40 to 0.50 USD\n" in out.getvalue()
    ran(tmp_path / "older", "mnist-1", receipt={})
    out = io.StringIO()
    estimate.show(Console(file=out, width=200), BILL, results=tmp_path / "older")
    assert "receipt" not in out.getvalue()


def partly(*lines: Line) -> Bill:
    """The bill of a stack whose gateway has no price."""
    return Bill(
        lines=lines, missing=("NAT gateway",), notes=(), on_demand=(Decimal(6), Decimal(8)), origin="us"
    )


def test_what_has_no_price_makes_every_sum_a_minimum() -> None:
    bill = partly(*BILL.lines)
    assert bill.total_text == (
        "at least 2.00 to 3.00 USD/h (at least 1,460 to 2,190 USD a month), at least 6.00 to 8.00 USD/h "
        "with every worker on demand; without NAT gateway: no price; prices from us"
    )
    assert estimate.training_cost(bill, 1000, 7_200_000).endswith(
        "2.0 h, at least 4.00 to 6.00 USD, at least 12.00 to 16.00 USD with every worker on demand"
    )


def shown(bill: Bill) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=120).print(bill.table())
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_the_table_names_what_has_no_price_and_never_adds_it_up_to_nothing() -> None:
    rows = shown(partly(*BILL.lines))
    assert "NAT gateway no price" in rows
    assert rows[-1] == "total at least 2.0000 to 3.0000"
    assert shown(partly())[-1] == "total unknown"
    assert partly().total_text == "unknown: no price of NAT gateway; prices from us"
    assert partly().cost(Decimal(24)) == "unknown"


def test_a_receipt_without_any_price_is_not_shown_as_nothing(tmp_path: Path) -> None:
    paid = {"usd": {"low": None, "high": None, "missing": ["head"]}}
    ran(tmp_path, "mnist-1", receipt=paid)
    out = io.StringIO()
    estimate.show(Console(file=out, width=200), BILL, results=tmp_path)
    assert "         its receipt then: unknown\n" in out.getvalue()

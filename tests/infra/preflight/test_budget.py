"""Check of `budget.perHour`."""

from __future__ import annotations

from decimal import Decimal

from infra.aws.settings.config import AwsConfig
from infra.cost.bill import Bill, Line
from infra.preflight.budget import checks
from infra.preflight.finding import Finding
from infra.settings.budget import Budget


def found(per_hour: str, *missing: str) -> Finding:
    config = AwsConfig(region="eu-west-1", budget=Budget(perHour=per_hour))
    bill = Bill((Line("head", 1, Decimal(2), Decimal(2)),), missing, (), None, "a table")
    (check,) = checks(config, "test", lambda: bill, {"headType": "m6i.xlarge"})
    (finding,) = check.ask()
    return finding


def test_without_a_limit_nothing_is_checked() -> None:
    assert checks(AwsConfig(region="eu-west-1"), "test", lambda: None, {}) == []  # type: ignore[arg-type, return-value]


def test_an_estimate_within_the_budget_passes_and_one_above_fails() -> None:
    assert found("2").verdict == "passed"
    assert found("2").detail == "2.00 USD/h (1,460 USD a month); prices from a table, of 2 USD/h"
    above = found("1.99")
    assert above.verdict == "failed"
    assert "up to 0.01 more than that" in above.detail
    assert "Lower headType (m6i.xlarge)" in above.fix


def test_a_part_without_a_price_is_a_note_since_nobody_knows() -> None:
    finding = found("3", "NAT gateway")
    assert finding.verdict == "note"
    assert "without NAT gateway: no price" in finding.detail

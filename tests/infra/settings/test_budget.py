"""Settings of a stack's cost: what they accept, and what they refuse with which words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bootstrap.errors import ConfigError
from infra.config import load
from infra.cost.bill import Bill, Line
from infra.settings.budget import limits, require_within, warning
from infra.settings.section import StackSettings

BASE = {
    "local": {},
    "aws": {"region": "eu-west-1"},
    "azure": {"region": "westeurope", "adminCidrs": '["203.0.113.7/32"]', "workers": "3"},
}


def config(provider: str = "aws", **given: str) -> StackSettings:
    values = {"provider": provider, **BASE[provider], **given}
    return load({f"caffe-spark:{key}": value for key, value in values.items()}, "test")


@pytest.mark.parametrize("provider", BASE)
def test_limits_are_in_the_document_of_every_kind_of_stack(provider: str) -> None:
    assert limits(config(provider)) is None
    found = limits(config(provider, budget='{"perHour": 2.5, "total": 20}', idleStop="30 min"))
    assert found == {"per_hour": "2.5", "total": "20", "idle_seconds": 1800, "idle_head": False}


@pytest.mark.parametrize(
    ("given", "seconds"), [("10 min", 600), ("90min", 5400), ("2 h", 7200), ("168 h", 604800)]
)
def test_a_time_has_its_unit(given: str, seconds: int) -> None:
    assert config(idleStop=given).idle_stop == seconds


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"budget": '{"total": 0}'}, "budget.total = 0: Input should be greater than 0"),
        (
            {"budget": '{"total": "1e3"}'},
            "it must be a plain number, in USD; valid: more than 0, in USD, e.g. 20",
        ),
        ({"budget": '{"total": -1}'}, "`pulumi config set --path budget.total 20 --stack test`"),
        ({"budget": '{"perHour": true}'}, "budget.perHour = True: it must be a plain number"),
        ({"budget": '{"hour": 1}'}, "budget.hour: unknown key; valid: {perHour: USD, total: USD}"),
        ({"budget": "20"}, "it must be a mapping"),
        ({"idleStop": "30"}, "idleStop = '30': it must be a time with its unit; valid: 10 min to 168 h"),
        ({"idleStop": "9 min"}, "it is too short; valid: 10 min to 168 h, e.g. 30 min or 2 h"),
        ({"idleStop": "8 d"}, "it must be a time with its unit"),
        ({"idleStop": "200 h"}, "it is too long"),
        ({"idleStopHead": "true"}, "idleStop is missing; valid: both, or idleStop alone"),
    ],
)
def test_other_values_are_refused_with_the_valid_ones_and_a_command(
    given: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        config(**given)
    assert words in str(refused.value)
    assert "--stack test" in refused.value.fix


@pytest.mark.parametrize("provider", ["local", "azure"])
def test_a_head_that_cannot_stop_has_no_such_setting(provider: str) -> None:
    with pytest.raises(ConfigError, match="caffe-spark:idleStopHead: unknown key"):
        config(provider, idleStop="30 min", idleStopHead="true")


def bill(low: str, high: str, *missing: str) -> Bill:
    line = Line("workers on spot", 1, Decimal(low), Decimal(high))
    return Bill((line,), missing, (), None, "a table of 2026-11-24")


def check(found: Bill, **given: Any) -> None:
    require_within(config(**given), found, "test", {"workers": 2, "maxPrice": "the on-demand price"})


def test_a_stack_within_its_budget_or_without_one_is_let_through() -> None:
    check(bill("1", "5"))
    check(bill("1", "5"), budget='{"total": 1}')
    check(bill("1", "5"), budget='{"perHour": 5}')


def test_a_stack_above_its_budget_is_refused_with_how_much_and_what_to_lower() -> None:
    with pytest.raises(ConfigError) as refused:
        check(bill("1.5", "2.504"), budget='{"perHour": 2}')
    assert refused.value.given == "caffe-spark:budget.perHour = 2"
    assert refused.value.why == (
        "an hour of the stack is estimated to cost 1.50 to 2.50 USD, up to 0.50 more than that (prices: a "
        "table of 2026-11-24)"
    )
    assert refused.value.fix == (
        "Lower workers (2), maxPrice (the on-demand price); or allow it: `pulumi config set --path "
        "budget.perHour 2.51 --stack test`. `fab cost` shows the parts."
    )


def test_the_amount_that_would_be_allowed_is_enough() -> None:
    found = bill("1.5", "2.504")
    check(found, budget='{"perHour": 2.51}')


def test_a_part_without_a_price_makes_the_estimate_at_least() -> None:
    with pytest.raises(ConfigError, match=r"estimated to cost at least 1\.50 to 2\.50 USD"):
        check(bill("1.5", "2.5", "NAT gateway"), budget='{"perHour": 2}')


def test_a_limit_that_was_not_compared_in_full_is_warned_of() -> None:
    limited = config(budget='{"perHour": 5}')
    found = bill("1.5", "2.5", "NAT gateway")
    assert "the estimate is at least 1.50 to 2.50 USD an hour, since there is no price of NAT" in warning(
        limited, found
    )
    assert warning(limited, bill("1.5", "2.5")) == ""
    assert warning(config(budget='{"total": 5}'), found) == ""
    assert warning(config(), found) == ""
    nothing = Bill((), ("head",), (), None, "a table")
    assert "the estimate is unknown an hour" in warning(limited, nothing)

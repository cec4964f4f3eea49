"""Prices of a stack on AWS in its cluster document: those of `fab cost`, by node."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from infra.aws.cost.document import cluster_prices
from infra.aws.cost.hourly import hourly
from tests.infra.aws.cost.test_hourly import config, priced


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"workers": 5},
        {"egress": "endpoints"},
        {"maxPrice": "0.8"},
        {"maxPrice": "0.55"},
        {"fallbackAfter": "10 min"},
        {"instanceTypes": ["g4dn.xlarge", "g4dn.2xlarge"]},
    ],
)
def test_an_hour_is_what_fab_cost_says(values: dict[str, Any]) -> None:
    stack, table = config(**values), priced()
    bill, found = hourly(stack, table), cluster_prices(stack, table).hourly(stack.workers)
    assert (found.low, found.high, found.missing) == (bill.low, bill.high, ())


def test_a_group_of_both_markets_has_a_price_of_each_type_in_each() -> None:
    found = cluster_prices(config(onDemandBase=1, maxWorkers=4), priced())
    assert [(node.type, node.market, node.high) for node in found.of("worker")] == [
        ("g4dn.xlarge", "spot", Decimal("0.6")),
        ("g4dn.xlarge", "on-demand", Decimal(2)),
        ("g5.xlarge", "spot", Decimal("1.5")),
        ("g5.xlarge", "on-demand", Decimal(4)),
    ]


def test_workers_that_may_come_on_demand_have_a_price_for_that() -> None:
    found = cluster_prices(config(fallbackAfter="10 min"), priced())
    assert found.worker("g5.xlarge", "on-demand").high == Decimal(4)
    assert found.worker("g5.xlarge", "spot").high == Decimal("1.5")


@pytest.mark.parametrize("values", [{"onDemandPercentage": 100}, {"onDemandBase": 4, "maxWorkers": 4}])
def test_a_group_without_spot_has_no_spot_prices(values: dict[str, Any]) -> None:
    found = cluster_prices(config(**values), priced())
    assert {node.market for node in found.of("worker")} == {"on-demand"}


def test_what_the_table_does_not_know_has_no_price() -> None:
    found = cluster_prices(config(headType="m5.large", instanceTypes=["g5.2xlarge"]), priced(nat_hour=None))
    assert found.hourly(1).missing == (
        "m5.large on demand",
        "NAT gateway",
        "g5.2xlarge on spot",
    )


def test_the_source_and_the_date_are_the_tables() -> None:
    found = cluster_prices(config(), priced())
    assert (found.source, str(found.date)) == ("the project's price table of 2026-11-24", "2026-11-24")
    assert not found.whole


def test_an_hour_in_a_capacity_block_has_no_price() -> None:
    block = {"reservation": "cr-0123456789abcdef0", "capacityBlock": True, "onDemandPercentage": 100}
    stack = config(**block, instanceTypes=["p4d.24xlarge"], zones=["eu-west-1c"])
    found = cluster_prices(stack, priced())
    assert [(node.market, node.low, node.high) for node in found.of("worker")] == [("on-demand", None, None)]
    assert found.hourly(2).missing == ("p4d.24xlarge on demand",)

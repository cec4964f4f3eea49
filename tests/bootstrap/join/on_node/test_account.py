"""Arithmetic of a stack's account, on cases that can be done in one's head."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from bootstrap.cluster import NodePrice, Part, Prices
from bootstrap.join.on_node.account import (
    BUDGET,
    IDLE,
    JOINING,
    LATER,
    Instance,
    add,
    base_per_hour,
    checked,
    new,
    on_demand_of,
    reached,
    usd_per_hour,
)

HOUR = 3600.0
ZONE = "eu-west-1a"


def node(role: Any, kind: str, usd: str | None, **rest: Any) -> NodePrice:
    return NodePrice(role=role, type=kind, low=usd, high=usd, **rest)


PRICES = Prices(
    nodes=(
        node("head", "m6i.xlarge", "0.20"),
        NodePrice(role="worker", type="g4dn.xlarge", market="spot", low=Decimal("0.2"), high=Decimal("0.3")),
        node("worker", "g4dn.xlarge", "0.60"),
        node("worker", "g5.xlarge", None, market="spot"),
        node("worker", "g5.xlarge", "1.20"),
    ),
    per_worker=(Part(what="disks of the workers", low=Decimal("0.02"), high=Decimal("0.02")),),
    fixed=(Part(what="NAT gateway", low=Decimal("0.05"), high=Decimal("0.05")),),
    source="a table",
).model_dump(mode="json")


def instances(*kinds: str) -> list[Instance]:
    return [Instance(f"i-{number}", kind, ZONE, "InService") for number, kind in enumerate(kinds)]


def test_an_hour_costs_the_head_what_is_fixed_and_workers_at_the_higher_price() -> None:
    assert usd_per_hour(PRICES, [], 0, {}) == (Decimal("0.25"), [])
    assert usd_per_hour(PRICES, instances("g4dn.xlarge", "g4dn.xlarge"), 0, {}) == (Decimal("0.89"), [])


def test_instances_whose_market_ec2_tells_cost_what_they_are() -> None:
    cheap, dear, untold = instances("g4dn.xlarge", "g5.xlarge", "g4dn.xlarge")
    told = [cheap._replace(market="on-demand"), dear._replace(market="on-demand"), untold]
    # 0.25, disks 3 × 0.02, 0.60 and 1.20, and 0.30 of the one on spot, as none of the untold is on demand
    assert usd_per_hour(PRICES, told, 0, {}) == (Decimal("2.41"), [])
    assert usd_per_hour(PRICES, told, 1, {}) == (Decimal("2.71"), [])
    spot = {("g4dn.xlarge", ZONE): Decimal("0.10")}
    assert usd_per_hour(PRICES, [cheap._replace(market="spot")], 1, spot) == (Decimal("0.37"), [])


def test_the_price_of_now_precedes_that_of_the_last_update() -> None:
    spot = {("g4dn.xlarge", ZONE): Decimal("0.10"), ("g4dn.xlarge", "eu-west-1b"): Decimal(9)}
    assert usd_per_hour(PRICES, instances("g4dn.xlarge"), 0, spot) == (Decimal("0.37"), [])


def test_of_a_mixed_group_the_dearest_count_as_on_demand() -> None:
    found = usd_per_hour(PRICES, instances("g4dn.xlarge", "g5.xlarge"), 1, {})
    assert found == (Decimal("1.79"), [])


def test_a_worker_without_a_price_is_told() -> None:
    found = usd_per_hour(PRICES, instances("g5.xlarge", "g5.xlarge"), 0, {})
    assert found == (Decimal("0.29"), ["g5.xlarge (spot)"])


def test_a_stopped_head_costs_what_is_fixed() -> None:
    assert base_per_hour(PRICES, head=False) == (Decimal("0.05"), [])


@pytest.mark.parametrize(
    ("count", "base", "percentage", "wanted"),
    [(0, 1, 0, 0), (4, 1, 0, 1), (4, 1, 50, 3), (4, 0, 100, 4), (3, 0, 10, 1)],
)
def test_instances_on_demand_are_counted_as_the_group_counts_them(
    count: int, base: int, percentage: int, wanted: int
) -> None:
    assert on_demand_of(count, base, percentage) == wanted


def test_time_is_charged_at_the_price_of_the_look_before_it() -> None:
    account = new(0.0)
    add(account, 0.0, Decimal("0.36"), [])
    account["workers"] = 2
    add(account, 100.0, Decimal("3.60"), [])
    assert Decimal(account["usd"]) == Decimal("0.01")
    add(account, 200.0, Decimal(0), [])
    assert Decimal(account["usd"]) == Decimal("0.11")
    assert (account["worker_seconds"], account["at"], account["gap_seconds"]) == (400.0, 200.0, 0.0)


def test_time_without_a_look_is_charged_as_if_nothing_had_changed_and_told() -> None:
    account = new(0.0)
    add(account, 0.0, Decimal("0.5"), [])
    add(account, 2 * HOUR, Decimal("0.5"), ["x"])
    assert Decimal(account["usd"]) == 1
    assert (account["gap_seconds"], account["missing"]) == (2 * HOUR, ["x"])


def test_a_clock_that_goes_back_gives_nothing_back() -> None:
    account = new(1000.0)
    add(account, 1000.0, Decimal(1), [])
    add(account, 900.0, Decimal(1), [])
    assert Decimal(account["usd"]) == 0


def test_small_amounts_are_not_lost_in_many_looks() -> None:
    account = new(0.0)
    add(account, 0.0, Decimal("0.01"), [])
    for minute in range(1, 6001):
        add(account, minute * 60.0, Decimal("0.01"), [])
    assert abs(Decimal(account["usd"]) - 1) < Decimal("0.0001")


@pytest.mark.parametrize(
    ("usd", "limits", "wanted"),
    [
        ("19.99999999", {"total": "20"}, ""),
        ("20", {"total": "20"}, BUDGET),
        ("20", {}, ""),
        ("0", {"idle_seconds": 1800}, IDLE),
        ("0", {"idle_seconds": 1801}, ""),
        ("20", {"total": "20", "idle_seconds": 1800}, BUDGET),
        ("0", {"max_join_failures": 3}, JOINING),
        ("0", {"max_join_failures": 4}, ""),
        ("0", {"max_join_failures": 0}, ""),
        ("0", {"max_join_failures": 3, "idle_seconds": 1800}, JOINING),
        ("20", {"max_join_failures": 3, "total": "20"}, BUDGET),
    ],
)
def test_limits_are_reached_and_the_budget_before_broken_workers_and_idleness(
    usd: str, limits: dict[str, Any], wanted: str
) -> None:
    account = {**new(0.0), "usd": usd, "failures": 3}
    assert reached(account, limits, 1800.0)[0] == wanted


def test_an_account_of_an_earlier_version_is_gone_on_with() -> None:
    account = new(5.0)
    add(account, 65.0, Decimal("0.25"), ["x"])
    earlier = {key: value for key, value in account.items() if key not in (*LATER, "members")}
    assert checked(json.loads(json.dumps(earlier))) == account


def test_an_account_is_read_as_it_was_written() -> None:
    account = new(5.0)
    account["members"] = {"i-1": {"since": 5.0, "joined": False, "said": "no numpy"}}
    account["failures"] = 2
    add(account, 65.0, Decimal("0.25"), ["x"])
    assert checked(json.loads(json.dumps(account))) == account


@pytest.mark.parametrize(
    "broken",
    [
        {"version": 2},
        {"usd": "NaN"},
        {"hourly": "x"},
        {"usd": None},
        {"members": {"i-1": {}}},
        {"members": {"i-1": "joined"}},
        {"members": [1]},
    ],
)
def test_an_account_that_is_not_whole_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, ArithmeticError)):
        checked({**new(5.0), **broken})

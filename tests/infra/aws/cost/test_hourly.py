"""Cost of a stack on AWS per hour."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
import yaml
from rich.console import Console

from infra.aws.cost import hourly, prices
from infra.aws.cost.prices import Prices
from infra.aws.settings.config import AwsConfig
from infra.cost.bill import Bill, Line

HOURS = Decimal(730)


def priced(**services: Any) -> Prices:
    """A table in which every sum can be done in one's head."""
    return Prices.model_validate(
        {
            "sources": {"test": "made up"},
            "regions": {
                "eu-west-1": {
                    "date": "2026-11-24",
                    "services": {
                        "gp3_gb_month": "0.73",
                        "nat_hour": "0.10",
                        "nat_gb": "0.05",
                        "endpoint_hour": "0.01",
                        "endpoint_gb": "0.02",
                        "ipv4_hour": "0.005",
                        "s3_gb_month": "0.02",
                        "source": "test",
                        **services,
                    },
                    "types": {
                        "m6i.xlarge": {"on_demand": "1", "source": "test"},
                        "g4dn.xlarge": {"on_demand": "2", "spot": ["0.5", "0.6"], "source": "test"},
                        "g5.xlarge": {"on_demand": "4", "spot": ["1", "1.5"], "source": "test"},
                        "g4dn.2xlarge": {"on_demand": "3", "source": "test"},
                    },
                }
            },
        }
    )


def config(**values: Any) -> AwsConfig:
    given = {"region": "eu-west-1", "instanceTypes": ["g4dn.xlarge", "g5.xlarge"], **values}
    return AwsConfig.model_validate(given)


def bill(table: Prices | None = None, **values: Any) -> Bill:
    return hourly.hourly(config(**values), table or priced())


def line(found: Bill, what: str) -> Line:
    (one,) = [one for one in found.lines if one.what.startswith(what)]
    return one


def test_the_total_is_the_sum_of_head_workers_disks_and_the_way_out() -> None:
    found = bill()
    # head 1, its disk 50 GB × 0.001, disks 2 × 100 GB × 0.001, NAT 0.10, two addresses
    rest = Decimal("1") + Decimal("0.05") + Decimal("0.2") + Decimal("0.1") + Decimal("0.01")
    assert found.low == rest + 2 * Decimal("0.5")
    assert found.high == rest + 2 * Decimal("1.5")
    assert found.on_demand == (rest + 2 * Decimal("2"), rest + 2 * Decimal("4"))
    assert found.monthly == (found.low * HOURS, found.high * HOURS)
    assert found.missing == ()


def test_spot_workers_are_a_range_over_their_types() -> None:
    one = line(bill(), "workers on spot")
    assert (one.count, one.low, one.high) == (2, Decimal("0.5"), Decimal("1.5"))


def test_a_price_limit_cuts_the_range_and_excludes_what_costs_more() -> None:
    one = line(bill(maxPrice="0.55"), "workers on spot")
    assert (one.low, one.high) == (Decimal("0.5"), Decimal("0.55"))
    assert one.note == "maxPrice 0.55 excludes g5.xlarge"


def test_a_price_limit_below_every_type_means_no_spot_worker() -> None:
    found = bill(maxPrice="0.10")
    one = line(found, "workers on spot")
    assert (one.count, *one.range) == (0, Decimal(0), Decimal(0))
    assert one.note == "none comes; maxPrice 0.10 excludes g4dn.xlarge, g5.xlarge"
    assert found.low == found.high


def test_with_the_fallback_every_spot_worker_counts_at_worst_as_the_dearest_type_on_demand() -> None:
    one = line(bill(fallbackAfter="10 min"), "workers on spot")
    assert (one.count, one.low, one.high) == (2, Decimal("0.5"), Decimal(4))
    assert "on demand while there is no spot capacity (fallbackAfter)" in one.note
    dear = line(bill(fallbackAfter="10 min", maxPrice="0.10"), "workers on spot")
    assert (dear.count, dear.low, dear.high) == (2, Decimal(0), Decimal(4))


def test_a_limit_of_an_hour_is_compared_with_a_group_that_has_grown() -> None:
    grows = config(workers=2, maxWorkers=6, scaleToQueue=True, idleStop="30 min")
    assert hourly.worst(grows, priced()).high == bill(workers=6).high
    assert hourly.hourly(grows, priced()).high == bill(workers=2).high
    assert "maxWorkers" in hourly.lower(grows)
    fixed = config(workers=2, maxWorkers=6)
    assert hourly.worst(fixed, priced()) == hourly.hourly(fixed, priced())


def test_a_price_limit_above_every_type_changes_nothing() -> None:
    assert bill(maxPrice="9").high == bill().high


def test_a_type_without_a_spot_price_counts_with_its_limit_and_says_so() -> None:
    one = line(bill(instanceTypes=["g4dn.xlarge", "g4dn.2xlarge"]), "workers on spot")
    assert (one.low, one.high) == (Decimal("0.5"), Decimal("3"))
    assert one.note == "no spot price of g4dn.2xlarge: on-demand price used"


@pytest.mark.parametrize(
    ("base", "percentage", "split"),
    [
        (0, 0, (0, 4)),
        (1, 0, (1, 3)),
        (4, 0, (4, 0)),
        (0, 100, (4, 0)),
        (0, 50, (2, 2)),
        (1, 50, (3, 1)),
        (0, 30, (2, 2)),
    ],
)
def test_the_base_and_a_percentage_of_the_rest_are_on_demand(
    base: int, percentage: int, split: tuple[int, int]
) -> None:
    given = config(workers=4, onDemandBase=base, onDemandPercentage=percentage)
    assert hourly.split(given) == split


def test_a_base_of_more_than_the_workers_is_all_of_them() -> None:
    assert hourly.split(config(workers=2, maxWorkers=8, onDemandBase=5)) == (2, 0)


def test_workers_on_demand_cost_up_to_what_the_dearest_type_does() -> None:
    """The group takes a later type where AWS has none of the first one."""
    found = bill(onDemandBase=1)
    one = line(found, "workers on demand, g4dn.xlarge")
    assert (one.count, one.low, one.high) == (1, Decimal(2), Decimal(4))
    assert line(found, "workers on spot").count == 1


def test_a_stack_on_demand_of_one_type_has_one_price() -> None:
    found = bill(onDemandPercentage=100, instanceTypes=["g4dn.xlarge"])
    assert (found.low, found.high) == found.on_demand
    assert found.low == found.high
    assert not [one for one in found.lines if one.what == "workers on spot"]


def test_endpoints_stand_in_for_the_nat_gateway_and_its_address() -> None:
    found = bill(egress="endpoints")
    assert line(found, "interface endpoints").range[0] == Decimal("0.05")
    assert line(found, "public IPv4 addresses").count == 1
    assert not [one for one in found.lines if one.what == "NAT gateway"]


GIVEN: dict[str, Any] = {
    "vpc": "vpc-0123456789abcdef0",
    "subnets": {"head": "subnet-0aaaaaaaaaaaaaaaa", "workers": ["subnet-0bbbbbbbbbbbbbbbb"]},
}


def test_a_given_network_costs_its_owner_and_the_estimate_says_so() -> None:
    found = bill(**GIVEN)
    assert found.low == bill().low - Decimal("0.1") - 2 * Decimal("0.005")
    assert not [
        one for one in found.lines if "NAT" in one.what or "endpoint" in one.what or "IPv4" in one.what
    ]
    note = "not counted: gateways, endpoints and traffic of vpc-0123456789abcdef0 (vpc)"
    assert note in found.notes
    assert not [one for one in found.notes if "NAT" in one]
    assert "not in this estimate" in hourly.egress_text(config(**GIVEN), priced())


def test_a_public_address_in_a_given_network_is_the_stacks_own_to_pay() -> None:
    assert line(bill(**GIVEN, headPublicAddress=True), "public IPv4 addresses").count == 1


def test_a_type_without_a_price_is_told_and_not_guessed() -> None:
    found = bill(headType="m5.xlarge", instanceTypes=["g4dn.4xlarge", "g4dn.xlarge"])
    assert found.missing == ("head, m5.xlarge", "g4dn.4xlarge on spot")
    assert found.on_demand == bill(instanceTypes=["g4dn.xlarge"], headType="m5.xlarge").on_demand
    assert found.total_text.startswith("at least ")
    assert ", at least 4.36 USD/h with every worker on demand" in found.total_text
    assert bill(instanceTypes=["g4dn.4xlarge"]).on_demand is None
    assert "without head, m5.xlarge, g4dn.4xlarge on spot: no price" in found.total_text


def test_a_stack_of_which_nothing_has_a_price_costs_an_unknown_sum_and_says_what_is_missing() -> None:
    found = bill(Prices(sources={}, regions={}))
    assert (found.low, found.lines) == (Decimal(0), ())
    assert "NAT gateway" in found.missing
    assert found.total_text.startswith("unknown: no price of head, m6i.xlarge, ")
    assert found.total_text.endswith("public IPv4 addresses; prices from the project's price table")


def test_a_service_without_a_price_is_told() -> None:
    assert "NAT gateway" in bill(priced(nat_hour=None)).missing


def test_the_total_in_one_line() -> None:
    assert bill().total_text == (
        "2.36 to 4.36 USD/h (1,723 to 3,183 USD a month), 5.36 to 9.36 USD/h with every worker on "
        "demand; "
        "prices from the project's price table of 2026-11-24"
    )
    alone = bill(onDemandPercentage=100, instanceTypes=["g4dn.xlarge"])
    assert alone.total_text.startswith("5.36 USD/h (3,913 USD a month), ")


def test_the_real_table_prices_the_default_stack() -> None:
    given = AwsConfig.model_validate({"region": "eu-west-1"})
    found = hourly.hourly(given, Prices.model_validate(yaml.safe_load(prices.TABLE.read_text())))
    assert found.missing == ()
    assert Decimal("0.7") < found.low < found.high < Decimal("2")


def test_the_table_has_a_line_for_each_thing_and_the_total() -> None:
    said = io.StringIO()
    Console(file=said, width=120).print(bill(onDemandBase=1).table())
    rows = [row.split("  ") for row in said.getvalue().splitlines()]
    assert [row[0].strip() for row in rows] == [
        "what",
        "head, m6i.xlarge",
        "workers on demand, g4dn.xlarge (or g5.xlarge, where AWS has none)",
        "workers on spot",
        "disk of the head, gp3 50 GB",
        "disks of the workers, gp3 100 GB",
        "NAT gateway",
        "public IPv4 addresses",
        "total",
    ]
    assert rows[-1][-1].strip() == "3.8600 to 6.8600"


def test_what_is_paid_by_the_gigabyte_is_noted() -> None:
    assert bill().notes == (
        "the bucket: 0.02 USD per GB and month",
        "through the NAT gateway: 0.05 USD per GB",
    )
    assert bill(egress="endpoints").notes[1] == "through the interface endpoints: 0.02 USD per GB"


def test_both_ways_out_are_told_by_the_month_the_chosen_one_first() -> None:
    nat = "nat: a NAT gateway with its address, 76.65 USD a month and 0.05 USD per GB"
    endpoints = "endpoints: 5 interface endpoints, 36.50 USD a month and 0.02 USD per GB"
    assert hourly.egress_text(config(), priced()) == f"{nat} (or {endpoints})"
    assert hourly.egress_text(config(egress="endpoints"), priced()) == f"{endpoints} (or {nat})"


def test_a_way_out_without_a_price_says_so() -> None:
    assert hourly.egress_text(config(), priced(nat_hour=None)).startswith("nat: no price (or endp")


def test_workers_of_a_capacity_block_leave_a_sum_that_is_a_minimum() -> None:
    block: dict[str, Any] = {
        "reservation": "cr-0123456789abcdef0",
        "capacityBlock": True,
        "onDemandPercentage": 100,
    }
    found = bill(**block, instanceTypes=["p4d.24xlarge"], zones=["eu-west-1c"])
    assert found.missing == ("workers, paid with the capacity block",)
    assert found.on_demand is None
    assert found.total_text.startswith("at least")


def test_workers_in_a_reservation_cost_what_they_cost_on_demand() -> None:
    reserved = {"reservation": "cr-0123456789abcdef0", "onDemandPercentage": 100, "zones": ["eu-west-1a"]}
    stack: dict[str, Any] = {"instanceTypes": ["g4dn.xlarge"], "onDemandPercentage": 100}
    assert bill(**{**stack, **reserved}).total_text == bill(**stack).total_text


def test_logs_in_cloudwatch_are_billed_by_the_gigabyte_and_by_their_endpoint() -> None:
    def note(**services: str) -> str:
        found = hourly.hourly(config(cloudLogs=True), priced(**services)).notes
        return next(one for one in found if "cloudLogs" in one)

    known = note(logs_gb="0.57", logs_gb_month="0.03")
    assert (
        known
        == "not counted: logs in CloudWatch (cloudLogs), 0.57 USD per GB sent and 0.03 USD per GB and month"
    )
    assert note() == "not counted: logs in CloudWatch (cloudLogs), which bills per GB sent"
    assert not any("cloudLogs" in one for one in bill().notes)
    assert line(bill(egress="endpoints", cloudLogs=True), "interface endpoints").range[0] == Decimal("0.06")
    assert "6 interface endpoints" in hourly.egress_text(config(cloudLogs=True), priced())

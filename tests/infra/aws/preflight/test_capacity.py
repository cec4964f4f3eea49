"""Zones, types and spot prices of a region."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from infra.aws.preflight.capacity import checks, offerings, spot_prices
from infra.aws.preflight.cloud import Cloud
from infra.preflight.finding import Finding
from tests.infra.aws.preflight.conftest import STACK, Account, answers, config


def asked(cloud: Cloud, name: str, **values: Any) -> Finding:
    return answers(checks(config(**values), STACK), cloud)[name]


def offers(account: Account, **where: str) -> None:
    """Of each type (with _ for .), the letters of the zones that offer it."""
    account.answers["DescribeInstanceTypeOfferings"] = lambda _: {
        "InstanceTypeOfferings": [
            {"InstanceType": name.replace("_", "."), "Location": f"eu-west-1{letter}"}
            for name, letters in where.items()
            for letter in letters
        ]
    }


def costs(account: Account, *prices: tuple[str, str, str]) -> None:
    account.answers["DescribeSpotPriceHistory"] = lambda _: {
        "SpotPriceHistory": [
            {"InstanceType": name, "AvailabilityZone": zone, "SpotPrice": usd} for name, zone, usd in prices
        ]
    }


def test_what_moto_recorded_of_the_region_offers_the_default_stack(cloud: Cloud) -> None:
    found = asked(cloud, "instance types")
    assert found.verdict == "passed"
    assert found.detail == "offered: m6i.xlarge, g4dn.xlarge, g4dn.2xlarge, g5.xlarge, g5.2xlarge"


def test_zones_that_are_there_hold(cloud: Cloud) -> None:
    assert asked(cloud, "zones").detail == "eu-west-1a, eu-west-1b, eu-west-1c available"


def test_a_zone_that_is_impaired_is_named_with_another_one(cloud: Cloud, account: Account) -> None:
    account.answers["DescribeAvailabilityZones"] = lambda _: {
        "AvailabilityZones": [
            {"ZoneName": "eu-west-1a", "State": "impaired"},
            {"ZoneName": "eu-west-1b", "State": "available"},
            {"ZoneName": "eu-west-1c", "State": "available"},
        ]
    }
    found = asked(cloud, "zones", zones=["eu-west-1a", "eu-west-1b"])
    assert found.failed
    assert found.detail == "eu-west-1a is impaired; available: eu-west-1b, eu-west-1c"
    assert found.fix == "Run `pulumi config set --path 'zones[0]' eu-west-1c --stack test`."


def test_a_zone_that_the_account_does_not_have_is_left_out(cloud: Cloud, account: Account) -> None:
    account.answers["DescribeAvailabilityZones"] = lambda _: {
        "AvailabilityZones": [{"ZoneName": "eu-west-1a", "State": "available"}]
    }
    found = asked(cloud, "zones", zones=["eu-west-1a", "eu-west-1b"])
    assert "eu-west-1b is unknown to this account" in found.detail
    assert "pulumi config rm --path 'zones[1]'" in found.fix


def test_a_head_that_its_zone_does_not_offer_is_refused(cloud: Cloud, account: Account) -> None:
    offers(account, m6i_xlarge="b", g4dn_xlarge="ab")
    found = asked(cloud, "instance types", zones=["eu-west-1a", "eu-west-1b"], instanceTypes=["g4dn.xlarge"])
    assert found.failed
    assert found.detail == "eu-west-1a, where the head is, does not offer m6i.xlarge (headType)"


def test_a_type_that_no_zone_offers_any_more_is_refused(cloud: Cloud, account: Account) -> None:
    offers(account, m6i_xlarge="a", g4dn_xlarge="a")
    found = asked(cloud, "instance types", zones=["eu-west-1a"], instanceTypes=["g4dn.xlarge", "g5.xlarge"])
    assert found.detail == "none of eu-west-1a offers g5.xlarge (instanceTypes)"
    assert "pulumi config rm --path 'instanceTypes[1]'" in found.fix


def test_a_zone_without_any_of_the_types_is_refused(cloud: Cloud, account: Account) -> None:
    offers(account, m6i_xlarge="ab", g5_xlarge="a")
    found = asked(cloud, "instance types", zones=["eu-west-1a", "eu-west-1b"], instanceTypes=["g5.xlarge"])
    assert found.detail == "eu-west-1b offers none of g5.xlarge (instanceTypes)"


def test_a_type_that_some_zones_lack_says_where_it_is(cloud: Cloud, account: Account) -> None:
    offers(account, m6i_xlarge="ab", g4dn_xlarge="ab", g5_xlarge="b")
    found = asked(
        cloud,
        "instance types",
        zones=["eu-west-1a", "eu-west-1b"],
        instanceTypes=["g4dn.xlarge", "g5.xlarge"],
    )
    assert found.verdict == "passed"
    assert found.detail == "offered: m6i.xlarge, g4dn.xlarge, g5.xlarge (only eu-west-1b)"


def test_other_zones_offerings_are_not_asked_for(cloud: Cloud) -> None:
    assert offerings(cloud, ["g5.xlarge", "g6.xlarge"], ["eu-west-1b"]) == {
        "g5.xlarge": ["eu-west-1b"],
        "g6.xlarge": [],
    }


def test_without_the_right_to_ask_the_check_stays_open(cloud: Cloud, account: Account) -> None:
    account.denies("DescribeInstanceTypeOfferings")
    assert asked(cloud, "instance types").verdict == "skipped"


def test_without_aws_the_table_speaks_and_says_its_date() -> None:
    known = {one.name: one.without("no network")[0] for one in checks(config(), STACK)}
    assert known["instance types"].verdict == "passed"
    assert "by the table of 2026-10-27, without asking AWS" in known["instance types"].detail
    assert known["spot prices"] == Finding("spot prices", "skipped", "no network")


def test_the_cheapest_zone_counts(cloud: Cloud, account: Account) -> None:
    costs(
        account,
        ("g5.xlarge", "eu-west-1a", "0.60"),
        ("g5.xlarge", "eu-west-1b", "0.55"),
        ("g4dn.xlarge", "eu-west-1c", "0.30"),
    )
    assert spot_prices(cloud, ["g4dn.xlarge", "g5.xlarge"], ["eu-west-1a"]) == {
        "g5.xlarge": (Decimal("0.55"), "eu-west-1b"),
        "g4dn.xlarge": (Decimal("0.30"), "eu-west-1c"),
    }


def test_types_above_the_cap_are_named(cloud: Cloud, account: Account) -> None:
    costs(account, ("g5.xlarge", "eu-west-1a", "0.60"), ("g4dn.xlarge", "eu-west-1a", "0.3012"))
    found = asked(cloud, "spot prices", maxPrice="0.40")
    assert found.verdict == "passed"
    assert found.detail == (
        "from, in USD/h: g4dn.xlarge 0.3012, g5.xlarge 0.6000; above maxPrice 0.40: g5.xlarge"
    )


def test_a_cap_below_every_price_is_refused_with_one_that_works(cloud: Cloud, account: Account) -> None:
    costs(account, ("g5.xlarge", "eu-west-1a", "0.60"), ("g4dn.xlarge", "eu-west-1b", "0.30"))
    found = asked(cloud, "spot prices", maxPrice="0.20")
    assert found.failed
    assert found.detail == (
        "no worker could start: maxPrice is 0.20, and the cheapest, g4dn.xlarge, costs 0.3000 (eu-west-1b)"
    )
    assert "pulumi config set maxPrice 0.3600 --stack test" in found.fix


def test_a_cap_that_is_the_price_is_enough(cloud: Cloud, account: Account) -> None:
    costs(account, ("g4dn.xlarge", "eu-west-1b", "0.300000"))
    assert asked(cloud, "spot prices", maxPrice="0.30").verdict == "passed"


def test_no_spot_market_at_all_is_refused(cloud: Cloud, account: Account) -> None:
    costs(account)
    assert "onDemandPercentage 100" in asked(cloud, "spot prices").fix


def test_a_stack_without_spot_workers_does_not_ask_for_prices(cloud: Cloud) -> None:
    found = answers(checks(config(onDemandPercentage=100), STACK), cloud)
    assert list(found) == ["zones", "instance types"]

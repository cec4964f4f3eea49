"""The caller's identity and the region's availability."""

from __future__ import annotations

import pytest

from bootstrap.clouds import aws
from bootstrap.errors import ConfigError
from infra.aws.preflight import account as asking
from infra.aws.preflight.cloud import Home
from tests.infra.aws.preflight.conftest import REGION, Account


@pytest.fixture
def home(account: Account) -> Home:
    return Home.of(aws.session())


def region_is(account: Account, status: str) -> None:
    account.answers["DescribeRegions"] = lambda asked: {
        "Regions": [{"RegionName": asked["RegionNames"][0], "OptInStatus": status}]
    }


def test_the_account_and_the_user_are_shown(home: Home) -> None:
    assert asking.caller(home)[1].detail == "account 123456789012, arn:aws:sts::123456789012:user/moto"


def test_expired_credentials_are_refused_with_what_renews_them(home: Home, account: Account) -> None:
    account.refuses("GetCallerIdentity", "ExpiredToken", "The security token included is expired")
    with pytest.raises(ConfigError, match=r"have expired.*aws sso login"):
        asking.caller(home)


def test_a_region_that_every_account_has_is_enabled(home: Home) -> None:
    assert asking.region(home, REGION).verdict == "passed"


def test_a_region_that_was_opted_into_is_enabled(home: Home, account: Account) -> None:
    region_is(account, "opted-in")
    assert asking.region(home, "eu-south-2").detail == "eu-south-2 is enabled"


def test_a_region_that_is_off_is_refused_with_the_command_that_enables_it(
    home: Home, account: Account
) -> None:
    region_is(account, "not-opted-in")
    with pytest.raises(asking.NotEnabled) as caught:
        asking.region(home, "eu-south-2")
    assert caught.value.why == "eu-south-2 is not-opted-in in this account"
    assert "aws account enable-region --region-name eu-south-2" in caught.value.fix


def test_regions_are_asked_where_every_account_may_ask(home: Home) -> None:
    assert (home.ec2.meta.region_name, home.sts.meta.region_name) == ("us-east-1", "us-east-1")

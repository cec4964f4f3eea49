"""Today's prices, asked of an AWS that answers from this file, and the operator's file that they make."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from bootstrap.errors import ConfigError, ServiceDown
from infra.aws.cost import price_list, prices
from infra.aws.settings.config import AwsConfig
from tests.offline import no_credentials, offline

__all__ = ["no_credentials", "offline"]

CONFIG = AwsConfig.model_validate({"region": "eu-west-1", "instanceTypes": ["g4dn.xlarge", "g5.xlarge"]})
ON_DEMAND = {"m6i.xlarge": "0.2200000000", "g4dn.xlarge": "0.6000000000", "g5.xlarge": "1.2000000000"}
SPOT = [("g4dn.xlarge", "0.31"), ("g4dn.xlarge", "0.29"), ("g5.xlarge", "0.55")]

_CLIENT: Any = BaseClient
CALL = _CLIENT._make_api_call
"""As botocore has it."""


def product(usage: str, *tiers: tuple[str, str]) -> str:
    """A product as GetProducts describes one: tiers are (first unit, USD)."""
    dimensions = {
        f"sku.rate.{begin}": {"beginRange": begin, "unit": "Hrs", "pricePerUnit": {"USD": usd}}
        for begin, usd in tiers
    }
    return json.dumps(
        {
            "product": {"attributes": {"usagetype": usage}},
            "terms": {"OnDemand": {"sku.rate": {"priceDimensions": dimensions}}},
        }
    )


class Aws:
    """Its prices, by (service, filter)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.on_demand = dict(ON_DEMAND)
        self.spot = list(SPOT)
        self.refused: dict[str, str] = {}

    def answer(self, client: BaseClient, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((operation, client.meta.region_name, asked))
        if operation in self.refused:
            raise ClientError({"Error": {"Code": self.refused[operation], "Message": "no"}}, operation)
        if operation == "DescribeSpotPriceHistory":
            return {"SpotPriceHistory": [{"InstanceType": kind, "SpotPrice": usd} for kind, usd in self.spot]}
        assert operation == "GetProducts"
        filters = {one["Field"]: one["Value"] for one in asked["Filters"]}
        assert filters["regionCode"] == "eu-west-1"
        return {"PriceList": self.products(asked["ServiceCode"], filters)}

    def products(self, service: str, filters: dict[str, str]) -> list[str]:
        if "instanceType" in filters:
            usd = self.on_demand.get(filters["instanceType"])
            return [product(f"EU-BoxUsage:{filters['instanceType']}", ("0", usd))] if usd else []
        if filters.get("productFamily") == "NAT Gateway":
            return [
                product("EU-RegionalNatGateway-Hours", ("0", "0.9")),
                product("EU-NatGateway-Bytes", ("0", "0.051")),
                product("EU-NatGateway-Hours", ("0", "0.052")),
            ]
        if service == "AmazonS3":
            return [product("EU-TimedStorage-ByteHrs", ("51200", "0.022"), ("0", "0.0231"))]
        if service == "AmazonCloudWatch":
            return [product("EU-TimedStorage-ByteHrs", ("0", "0"), ("5", "0.031"))]
        return []


@pytest.fixture
def aws(no_credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Aws:
    made = Aws()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv(prices.VARIABLE, str(tmp_path / "mine" / "prices.yaml"))

    def answered(self: BaseClient, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        return made.answer(self, operation, asked)

    monkeypatch.setattr(BaseClient, "_make_api_call", answered)
    return made


def test_list_prices_and_spot_prices_of_the_stacks_types_are_written(aws: Aws, tmp_path: Path) -> None:
    path = price_list.refresh(CONFIG)
    assert path == tmp_path / "mine" / "prices.yaml"
    here = prices.load().of("eu-west-1")
    assert here.date == datetime.now(timezone.utc).date()
    assert here.types["g4dn.xlarge"].on_demand == Decimal("0.6")
    assert here.types["g4dn.xlarge"].spot == (Decimal("0.29"), Decimal("0.31"))
    assert here.types["g5.xlarge"].spot == (Decimal("0.55"), Decimal("0.55"))
    assert here.types["m6i.xlarge"].spot is None
    assert here.types["g4dn.xlarge"].source == "aws"


def test_what_the_stack_does_not_use_keeps_our_figure(aws: Aws) -> None:
    price_list.refresh(CONFIG)
    table = prices.load()
    assert table.of("eu-west-1").types["g5.2xlarge"].source == "catalogue"
    assert table.of("us-east-1").services.nat_hour == Decimal("0.045")


def test_services_are_found_by_their_usage_type_and_no_other_one_is_taken_for_them(aws: Aws) -> None:
    price_list.refresh(CONFIG)
    services = prices.load().of("eu-west-1").services
    assert (services.nat_hour, services.nat_gb) == (Decimal("0.052"), Decimal("0.051"))


def test_the_first_tier_that_costs_something_is_the_price(aws: Aws) -> None:
    price_list.refresh(CONFIG)
    services = prices.load().of("eu-west-1").services
    assert (services.s3_gb_month, services.logs_gb_month) == (Decimal("0.0231"), Decimal("0.031"))


def test_what_aws_did_not_answer_is_told_in_the_file_and_keeps_our_figure(aws: Aws) -> None:
    del aws.on_demand["g5.xlarge"]
    lines = price_list.refresh(CONFIG).read_text().splitlines()
    assert lines[1].startswith("# AWS did not answer; known prices are used for: g5.xlarge, gp3_gb_month,")
    here = prices.load().of("eu-west-1")
    assert here.types["g5.xlarge"].on_demand == Decimal("1.123")
    assert here.services.gp3_gb_month == Decimal("0.088")


def test_another_regions_figures_in_the_file_stay(aws: Aws, tmp_path: Path) -> None:
    file = tmp_path / "mine" / "prices.yaml"
    file.parent.mkdir()
    mine = {
        "regions": {"us-east-1": {"services": {"nat_hour": 0.04}}, "eu-west-1": {"services": {"nat_hour": 9}}}
    }
    file.write_text(yaml.safe_dump(mine))
    price_list.refresh(CONFIG)
    table = prices.load()
    assert table.of("us-east-1").services.nat_hour == Decimal("0.04")
    assert table.of("eu-west-1").services.nat_hour == Decimal("0.052")


def test_prices_are_asked_in_the_region_that_serves_them_and_spot_prices_in_the_stacks(aws: Aws) -> None:
    price_list.refresh(CONFIG)
    regions = {(operation, region) for operation, region, _ in aws.asked}
    assert regions == {("DescribeSpotPriceHistory", "eu-west-1"), ("GetProducts", "us-east-1")}
    ((_, _, spot),) = [one for one in aws.asked if one[0] == "DescribeSpotPriceHistory"]
    assert spot["InstanceTypes"] == ["m6i.xlarge", "g4dn.xlarge", "g5.xlarge"]
    assert spot["ProductDescriptions"] == ["Linux/UNIX"]


def test_a_file_that_is_not_valid_is_not_written_over(aws: Aws, tmp_path: Path) -> None:
    file = tmp_path / "mine" / "prices.yaml"
    file.parent.mkdir()
    file.write_text("regions: [")
    with pytest.raises(ConfigError, match="it is not valid YAML"):
        price_list.refresh(CONFIG)
    assert file.read_text() == "regions: ["
    assert aws.asked == []


@pytest.mark.parametrize("operation", ["DescribeSpotPriceHistory", "GetProducts"])
def test_a_missing_right_is_told_and_nothing_is_written(aws: Aws, tmp_path: Path, operation: str) -> None:
    aws.refused[operation] = "AccessDeniedException"
    with pytest.raises(ConfigError, match=f"lack the permission {operation}"):
        price_list.refresh(CONFIG)
    assert not (tmp_path / "mine").exists()


def test_a_price_list_that_knows_nothing_is_no_price_list(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "products", lambda *_: [])
    with pytest.raises(ServiceDown, match="has none of the requested prices"):
        price_list.refresh(CONFIG)
    assert not (tmp_path / "mine").exists()


def test_without_credentials_the_first_line_says_so(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseClient, "_make_api_call", CALL)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match="AWS credentials"):
        price_list.refresh(CONFIG)

"""Output of `fab regions` for a stack on AWS."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.aws.cost import prices
from infra.aws.offers import offers, places
from infra.aws.settings.config import AwsConfig
from tests.cloud.aws_account import answers
from tests.offline import no_credentials, offline

__all__ = ["no_credentials", "offline"]

Show = Callable[..., dict[str, str]]


def stack(region: str = "eu-west-1", **values: Any) -> AwsConfig:
    return AwsConfig.model_validate({"region": region, **values})


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Print the regions of a stack; its lines by their first word."""
    monkeypatch.delenv(prices.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def lines(config: AwsConfig) -> dict[str, str]:
        console = Console(file=io.StringIO(), width=300)
        offers(config, "test", root=tmp_path, console=console)
        assert isinstance(console.file, io.StringIO)
        return {line.split(" ")[0]: line for line in console.file.getvalue().splitlines()}

    return lines


def test_regions_with_most_of_the_types_come_first() -> None:
    names = [region.name for region in places(stack("us-east-1", instanceTypes=["g6.xlarge", "g5.xlarge"]))]
    assert names.index("us-west-2") < names.index("ap-south-2")  # g6 alone
    assert "ca-west-1" not in names
    assert "af-south-1" not in names  # g4dn alone


def test_without_credentials_the_tables_answer(no_credentials: None, show: Show) -> None:
    shown = show(stack())
    ireland = shown["eu-west-1"].split()
    assert ireland[-1] == "stack"
    assert "abc" in ireland
    assert "0.587 (g4dn.xlarge)" in shown["eu-west-1"]
    assert "0.2663 (g4dn.xlarge)" in shown["eu-west-1"]
    assert shown["eu-north-1"].count("?") == 3, "neither prices nor a quota are known there"
    assert "no credentials" in shown["Prices"]
    assert "mx-central-1 nothing is known" in shown["25"]


def test_a_type_is_counted_in_the_zones_that_offer_it(no_credentials: None, show: Show) -> None:
    shown = show(stack(instanceTypes=["p4d.24xlarge"], onDemandPercentage=100))
    assert " c " in shown["eu-west-1"]
    assert "21.957642 (p4d.24xlarge)" in shown["us-east-1"]
    assert "ap-east-1" not in shown


def test_with_credentials_aws_answers_for_each_region(
    no_credentials: None, aws_account: None, monkeypatch: pytest.MonkeyPatch, show: Show
) -> None:
    def answer(region: str, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        if operation == "DescribeSpotPriceHistory":
            price = "0.2" if region == "eu-west-1" else "0.1"
            names = asked["InstanceTypes"]
            return {
                "SpotPriceHistory": [
                    {"InstanceType": name, "SpotPrice": price, "AvailabilityZone": f"{region}a"}
                    for name in names
                ]
            }
        if operation == "GetServiceQuota":
            return {"Quota": {"Value": 64.0 if region == "us-east-1" else 0.0}}
        if operation == "DescribeRegions":
            return {
                "Regions": [
                    {"RegionName": "us-east-1", "OptInStatus": "opt-in-not-required"},
                    {"RegionName": "af-south-1", "OptInStatus": "not-opted-in"},
                ]
            }
        return None

    answers(monkeypatch, answer)
    shown = show(stack())
    assert "0.2 (g4dn.2xlarge)" in shown["eu-west-1"]
    assert "0.1 (g4dn.2xlarge)" in shown["us-east-1"]
    assert "spot, G and VT: 64" in shown["us-east-1"]
    assert "spot, G and VT: 0" in shown["eu-west-1"]
    assert shown["af-south-1"].endswith("not enabled in this account")


def test_a_lacking_right_leaves_a_quota_open_and_says_so(
    no_credentials: None, aws_account: None, monkeypatch: pytest.MonkeyPatch, show: Show
) -> None:
    from botocore.exceptions import ClientError

    def answer(_: str, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        if operation == "GetServiceQuota":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
        if operation == "DescribeSpotPriceHistory":
            return {"SpotPriceHistory": []}
        return {"Regions": []} if operation == "DescribeRegions" else None

    answers(monkeypatch, answer)
    shown = show(stack())
    assert "GetServiceQuota" in shown["us-east-1"]
    assert "0.2069 (g4dn.xlarge)" in shown["us-east-1"], "the table's, where AWS names none"

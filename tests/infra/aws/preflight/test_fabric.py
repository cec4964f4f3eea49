"""Preflight of EFA and of the placement group, against moto's account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.fabric import checks
from infra.preflight.finding import Finding
from tests.infra.aws.preflight.conftest import REGION, STACK, Account, answers, config

NAME = f"caffe-spark-{STACK}-placement"
EFA: dict[str, Any] = {"efa": True, "instanceTypes": ["g5.8xlarge", "g4dn.8xlarge"], "zones": [f"{REGION}a"]}
CLOSE: dict[str, Any] = {"placementGroup": True, "zones": [f"{REGION}a"]}


@pytest.fixture(autouse=True)
def has_no_placement_groups(account: Account) -> None:
    """Moto does not know them."""
    account.answers["DescribePlacementGroups"] = lambda _: {"PlacementGroups": []}


def look(cloud: Cloud, **values: Any) -> dict[str, Finding]:
    return answers(checks(config(**values), STACK), cloud)


def test_a_stack_without_either_is_asked_nothing() -> None:
    assert checks(config(), STACK) == []


def test_types_have_the_interfaces_of_the_table_by_aws(cloud: Cloud) -> None:
    found = look(cloud, **EFA, placementGroup=True)["EFA"]
    assert (found.verdict, found.detail) == (
        "passed",
        "g5.8xlarge, g4dn.8xlarge: 1 interfaces of each worker",
    )


def test_efa_without_a_placement_group_is_worth_a_note(cloud: Cloud) -> None:
    found = look(cloud, **EFA)["EFA"]
    assert found.verdict == "note"
    assert found.fix == f"Run `pulumi config set placementGroup true --stack {STACK}`."


def test_machines_of_a_capacity_block_are_close_without(cloud: Cloud) -> None:
    block = {"reservation": "cr-0123456789abcdef0", "capacityBlock": True, "onDemandPercentage": 100}
    of_p = {"efa": True, "instanceTypes": ["p4d.24xlarge"], "zones": [f"{REGION}c"]}
    assert look(cloud, **block, **of_p)["EFA"].detail == "p4d.24xlarge: 4 interfaces of each worker"


def test_a_type_with_fewer_interfaces_than_the_table_says_fails(cloud: Cloud, account: Account) -> None:
    types = [
        {"InstanceType": "g5.8xlarge", "NetworkInfo": {"EfaInfo": {"MaximumEfaInterfaces": 1}}},
        {"InstanceType": "g4dn.8xlarge", "NetworkInfo": {"EfaSupported": False}},
    ]
    account.answers["DescribeInstanceTypes"] = lambda _: {"InstanceTypes": types}
    found = look(cloud, **EFA)["EFA"]
    assert found.failed
    assert "g4dn.8xlarge has 0 EFA interfaces by AWS, and 1 by our table of " in found.detail
    assert "--path 'instanceTypes[1]' TYPE" in found.fix


def answering(answer: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda _: answer


def test_a_placement_group_of_that_name_is_free_this_stacks_or_somebodys(
    cloud: Cloud, account: Account
) -> None:
    assert look(cloud, **CLOSE)["placement group"].detail == f"the name {NAME} is free"
    ours = [
        {"Key": key, "Value": value}
        for key, value in (("Project", "caffe-spark"), ("Stack", STACK), ("ManagedBy", "pulumi"))
    ]
    for tags, verdict in ((ours, "passed"), ([], "failed")):
        there = {"GroupName": NAME, "State": "available", "Tags": tags}
        account.answers["DescribePlacementGroups"] = answering({"PlacementGroups": [there]})
        found = look(cloud, **CLOSE)["placement group"]
        assert found.verdict == verdict
    assert f"aws ec2 delete-placement-group --group-name {NAME} --region {REGION}" in found.fix

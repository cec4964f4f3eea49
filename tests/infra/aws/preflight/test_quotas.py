"""Quotas: what a stack needs at its largest, against what AWS grants."""

from __future__ import annotations

from typing import Any

import pytest

from infra import tags
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.quotas import (
    ON_DEMAND_G,
    ON_DEMAND_STANDARD,
    SPOT_G,
    SPOT_STANDARD,
    checks,
    demands,
    granted,
)
from tests.infra.aws.preflight.conftest import STACK, Account, answers, config

CPU = {"instanceTypes": ["c6i.xlarge", "c6i.2xlarge"]}


def needs(**values: Any) -> dict[str, int]:
    return {demand.quota.code: demand.vcpus for demand in demands(config(**values))}


def test_workers_count_at_their_largest_number_and_type() -> None:
    assert needs(workers=2, maxWorkers=5) == {SPOT_G.code: 5 * 8, ON_DEMAND_STANDARD.code: 4}


def test_workers_without_gpus_count_as_standard_spot() -> None:
    assert needs(workers=3, headType="m6i.large", **CPU) == {
        SPOT_STANDARD.code: 6 * 8,
        ON_DEMAND_STANDARD.code: 2,
    }


def test_the_base_counts_as_on_demand() -> None:
    assert needs(workers=4, maxWorkers=4, onDemandBase=1) == {
        SPOT_G.code: 3 * 8,
        ON_DEMAND_G.code: 8,
        ON_DEMAND_STANDARD.code: 4,
    }


def test_a_share_that_does_not_divide_counts_in_both_markets() -> None:
    assert needs(workers=3, maxWorkers=3, onDemandPercentage=50) == {
        SPOT_G.code: 2 * 8,
        ON_DEMAND_G.code: 2 * 8,
        ON_DEMAND_STANDARD.code: 4,
    }


def test_all_on_demand_needs_no_spot_quota() -> None:
    assert needs(workers=2, maxWorkers=2, onDemandPercentage=100) == {
        ON_DEMAND_G.code: 16,
        ON_DEMAND_STANDARD.code: 4,
    }


def test_workers_on_demand_without_gpus_share_the_heads_quota() -> None:
    assert needs(workers=2, maxWorkers=2, onDemandPercentage=100, **CPU) == {ON_DEMAND_STANDARD.code: 20}


def test_a_quota_that_is_exactly_enough_holds(cloud: Cloud, account: Account) -> None:
    account.quotas[SPOT_G.code] = 32
    found = answers(checks(config(), STACK), cloud)["quota: spot, G and VT"]
    assert found.verdict == "passed"
    assert found.detail == "32 vCPUs needed (4 workers as g4dn.2xlarge), 32 granted"


def test_a_quota_that_is_too_small_says_both_numbers_and_both_ways_out(
    cloud: Cloud, account: Account
) -> None:
    account.quotas[SPOT_G.code] = 31
    found = answers(checks(config(), STACK), cloud)["quota: spot, G and VT"]
    assert found.failed
    assert found.detail == ("32 vCPUs needed (4 workers as g4dn.2xlarge), 31 granted, which is enough for 3")
    assert found.fix == (
        "Run `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-3819A6DF "
        "--desired-value 32 --region eu-west-1` and wait for AWS's answer, or use fewer workers: "
        "`pulumi config set-all --plaintext maxWorkers=3 --stack test`."
    )


def test_a_quota_for_less_than_the_wanted_workers_lowers_these_too(cloud: Cloud, account: Account) -> None:
    account.quotas[SPOT_G.code] = 8
    found = answers(checks(config(), STACK), cloud)["quota: spot, G and VT"]
    assert "--plaintext maxWorkers=1 --plaintext workers=1" in found.fix


def test_a_new_accounts_quota_of_nothing_leaves_one_way_out(cloud: Cloud, account: Account) -> None:
    account.quotas[SPOT_G.code] = 0
    found = answers(checks(config(), STACK), cloud)["quota: spot, G and VT"]
    assert found.detail.endswith(", 0 granted")
    assert "maxWorkers" not in found.fix


def test_no_number_of_workers_fixes_a_quota_that_the_head_does_not_fit_into(
    cloud: Cloud, account: Account
) -> None:
    account.quotas[ON_DEMAND_STANDARD.code] = 2
    found = answers(checks(config(onDemandPercentage=100, **CPU), STACK), cloud)
    assert "maxWorkers" not in found["quota: on demand, standard"].fix


def test_a_quota_that_was_never_changed_has_its_default(cloud: Cloud, account: Account) -> None:
    account.default_quota = 7
    assert granted(cloud, SPOT_G) == 7


def test_a_lacking_right_leaves_the_quota_open_and_names_the_action(cloud: Cloud, account: Account) -> None:
    account.denies("GetServiceQuota")
    found = answers(checks(config(), STACK), cloud)["quota: spot, G and VT"]
    assert found.verdict == "skipped"
    assert "GetServiceQuota" in found.detail


def test_throttling_is_said_and_is_not_taken_for_an_answer(cloud: Cloud, account: Account) -> None:
    account.refuses("GetServiceQuota", "TooManyRequestsException", "Too many requests")
    found = answers(checks(config(), STACK), cloud)["quota: spot, G and VT"]
    assert found.failed
    assert "throttles" in found.detail


def fill(account: Account, count: int, **vpc_tags: str) -> None:
    ec2 = account.client("ec2")
    for _ in range(count):
        listed = [{"Key": key, "Value": value} for key, value in vpc_tags.items()]
        ec2.create_vpc(
            CidrBlock="10.0.0.0/16",
            TagSpecifications=[{"ResourceType": "vpc", "Tags": listed}] if listed else [],
        )


def test_room_for_one_more_vpc_is_enough(cloud: Cloud, account: Account) -> None:
    account.quotas["L-F678F1CE"] = 5
    fill(account, 3)  # beside the default one
    found = answers(checks(config(), STACK), cloud)["quota: VPCs"]
    assert (found.verdict, found.detail) == ("passed", "4 beside this stack's, of 5")


def test_no_room_for_a_vpc_is_refused_with_the_command_that_asks_for_more(
    cloud: Cloud, account: Account
) -> None:
    account.quotas["L-F678F1CE"] = 5
    fill(account, 4)
    found = answers(checks(config(), STACK), cloud)["quota: VPCs"]
    assert found.failed
    assert "--service-code vpc --quota-code L-F678F1CE --desired-value 6" in found.fix


def test_the_stacks_own_vpc_does_not_stand_in_its_way(cloud: Cloud, account: Account) -> None:
    account.quotas["L-F678F1CE"] = 5
    fill(account, 3)
    fill(account, 1, **tags.cloud_tags(STACK))
    assert answers(checks(config(), STACK), cloud)["quota: VPCs"].verdict == "passed"


def test_no_address_for_a_nat_gateway_is_refused(cloud: Cloud, account: Account) -> None:
    account.quotas["L-0263D0A3"] = 1
    account.client("ec2").allocate_address(Domain="vpc")
    found = answers(checks(config(), STACK), cloud)["quota: elastic addresses"]
    assert found.failed
    assert found.detail == "1 beside this stack's, of 1: none is left"


def test_without_a_nat_gateway_no_address_is_asked_for(cloud: Cloud) -> None:
    assert "quota: elastic addresses" not in answers(checks(config(egress="endpoints"), STACK), cloud)


@pytest.mark.parametrize("operation", ["DescribeVpcs", "DescribeAddresses"])
def test_what_the_stack_may_not_count_it_may_not_make(operation: str, cloud: Cloud, account: Account) -> None:
    account.denies(operation)
    failed = [finding for finding in answers(checks(config(), STACK), cloud).values() if finding.failed]
    assert [operation in finding.detail for finding in failed] == [True]

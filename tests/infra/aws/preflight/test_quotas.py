"""Quotas: what a stack needs at its largest, against what AWS grants."""

from __future__ import annotations

from typing import Any

import pytest

from infra import tags
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.quota import (
    ON_DEMAND_G,
    ON_DEMAND_P,
    ON_DEMAND_STANDARD,
    SPOT_G,
    SPOT_P4,
    SPOT_P5,
    SPOT_STANDARD,
    granted,
)
from infra.aws.preflight.quotas import checks, demands
from infra.preflight.finding import Finding
from tests.infra.aws.preflight.conftest import STACK, Account, answers, config

CPU = {"instanceTypes": ["c6i.xlarge", "c6i.2xlarge"]}


def needs(**values: Any) -> dict[str, int]:
    return {demand.quota.code: demand.most_vcpus for demand in demands(config(**values))}


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


def test_p_machines_count_against_quotas_of_their_own() -> None:
    big = ["p4d.24xlarge", "p5.48xlarge", "p5en.48xlarge", "g6.48xlarge"]
    needed = needs(region="us-east-1", workers=2, maxWorkers=3, onDemandBase=1, instanceTypes=big)
    assert needed == {
        SPOT_P4.code: 2 * 96,
        SPOT_P5.code: 2 * 192,
        SPOT_G.code: 2 * 192,
        ON_DEMAND_P.code: 192,
        ON_DEMAND_G.code: 192,
        ON_DEMAND_STANDARD.code: 4,
    }


MIXED = {"region": "us-east-1", "instanceTypes": ["p4d.24xlarge", "g6.48xlarge"], "workers": 1}


def test_one_quota_of_two_is_enough_for_a_group_that_has_types_of_both(
    cloud: Cloud, account: Account
) -> None:
    account.quotas.update({SPOT_P4.code: 0, SPOT_G.code: 384})
    found = answers(checks(config(**MIXED), STACK), cloud)
    assert found["quota: spot, G and VT"].verdict == "passed"
    lacking = found["quota: spot, P4, P3 and P2"]
    assert lacking.verdict == "note"
    assert lacking.detail.endswith(
        "96 vCPUs needed (1 worker as p4d.24xlarge), 0 granted; the group starts g6.48xlarge"
    )


def test_a_group_of_which_no_type_has_a_quota_fails(cloud: Cloud, account: Account) -> None:
    account.quotas.update({SPOT_P4.code: 0, SPOT_G.code: 0})
    found = answers(checks(config(**MIXED), STACK), cloud)
    assert found["quota: spot, G and VT"].failed
    assert found["quota: spot, P4, P3 and P2"].failed


def test_with_the_fallback_all_workers_may_be_of_either_market() -> None:
    assert needs(workers=2, maxWorkers=3, fallbackAfter="10 min") == {
        SPOT_G.code: 3 * 8,
        ON_DEMAND_G.code: 3 * 8,
        ON_DEMAND_STANDARD.code: 4,
    }


def starts_with(**values: Any) -> dict[str, int]:
    return {demand.quota.code: demand.least_vcpus for demand in demands(config(**values))}


def test_the_workers_that_start_count_as_the_smallest_type() -> None:
    assert starts_with(workers=2, maxWorkers=5) == {SPOT_G.code: 2 * 4, ON_DEMAND_STANDARD.code: 4}


def test_a_base_that_takes_all_workers_leaves_none_on_spot() -> None:
    assert starts_with(workers=2, maxWorkers=4, onDemandBase=3) == {
        SPOT_G.code: 0,
        ON_DEMAND_G.code: 2 * 4,
        ON_DEMAND_STANDARD.code: 4,
    }


def spot_quota(cloud: Cloud, account: Account, value: int, **values: Any) -> Finding:
    account.quotas[SPOT_G.code] = value
    return answers(checks(config(**values), STACK), cloud)["quota: spot, G and VT"]


INCREASE = (
    "`aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-3819A6DF "
    "--desired-value 32 --region eu-west-1` and wait for AWS's answer"
)


def test_a_quota_that_is_exactly_enough_holds(cloud: Cloud, account: Account) -> None:
    found = spot_quota(cloud, account, 32)
    assert found.verdict == "passed"
    assert found.detail == "32 vCPUs at most (4 workers as g4dn.2xlarge), 32 granted"


def test_two_workers_of_the_smallest_type_fit_into_eight_vcpus(cloud: Cloud, account: Account) -> None:
    found = spot_quota(cloud, account, 8)
    assert found.verdict == "note"
    assert found.detail == (
        "8 vCPUs granted: enough for 2 workers as g4dn.xlarge, not for 2 workers as g4dn.2xlarge; "
        "the group starts as many as fit"
    )
    assert found.fix == (
        "Run `pulumi config set-all --path --plaintext 'instanceTypes[0]=g4dn.xlarge' "
        "--plaintext 'instanceTypes[1]=g5.xlarge' --stack test` (drops g4dn.2xlarge, g5.2xlarge), "
        f"or {INCREASE}."
    )


def test_big_types_of_the_stack_file_are_dropped_from_the_end_of_its_list(
    cloud: Cloud, account: Account
) -> None:
    types = ["g4dn.xlarge", "g4dn.2xlarge", "g5.xlarge", "g5.2xlarge"]
    found = spot_quota(cloud, account, 8, instanceTypes=types)
    assert found.fix.startswith(
        "Run `pulumi config rm --path 'instanceTypes[3]' --stack test && "
        "pulumi config rm --path 'instanceTypes[1]' --stack test` (drops g4dn.2xlarge, g5.2xlarge)"
    )


def test_a_quota_for_the_start_and_not_for_the_maximum_is_worth_a_note(
    cloud: Cloud, account: Account
) -> None:
    found = spot_quota(cloud, account, 31)
    assert found.verdict == "note"
    assert found.detail == (
        "31 vCPUs granted: enough for 3 workers as g4dn.2xlarge, and maxWorkers is 4 (32 vCPUs)"
    )
    assert found.fix == f"Before the group grows that far, run {INCREASE}."


def test_a_quota_for_less_than_the_wanted_workers_fails_with_both_numbers_and_both_ways_out(
    cloud: Cloud, account: Account
) -> None:
    found = spot_quota(cloud, account, 7)
    assert found.failed
    assert found.detail == "8 vCPUs needed (2 workers as g4dn.xlarge), 7 granted, which is enough for 1"
    assert found.fix == (
        f"Run {INCREASE}, or use fewer workers: "
        "`pulumi config set-all --plaintext workers=1 --plaintext maxWorkers=1 --stack test`."
    )


@pytest.mark.parametrize("value", [0, 3])
def test_a_new_accounts_quota_of_nothing_leaves_one_way_out(
    value: int, cloud: Cloud, account: Account
) -> None:
    found = spot_quota(cloud, account, value)
    assert found.failed
    assert found.detail.endswith(f", {value} granted")
    assert found.fix == f"Run {INCREASE}."


def test_the_head_counts_before_any_worker_that_shares_its_quota(cloud: Cloud, account: Account) -> None:
    account.quotas[ON_DEMAND_STANDARD.code] = 11
    found = answers(checks(config(onDemandPercentage=100, **CPU), STACK), cloud)["quota: on demand, standard"]
    assert found.detail == (
        "12 vCPUs needed (2 workers as c6i.xlarge and the head as m6i.xlarge), 11 granted, "
        "which is enough for 1"
    )


def test_no_number_of_workers_fixes_a_quota_that_the_head_does_not_fit_into(
    cloud: Cloud, account: Account
) -> None:
    account.quotas[ON_DEMAND_STANDARD.code] = 2
    found = answers(checks(config(onDemandPercentage=100, **CPU), STACK), cloud)
    assert "maxWorkers" not in found["quota: on demand, standard"].fix


def test_a_quota_that_was_never_changed_has_its_default(cloud: Cloud, account: Account) -> None:
    account.default_quota = 7
    assert granted(cloud.quotas, SPOT_G) == 7


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


def test_in_a_given_network_neither_a_vpc_nor_an_address_is_needed() -> None:
    subnets = {"head": "subnet-0aaaaaaaaaaaaaaaa", "workers": ["subnet-0bbbbbbbbbbbbbbbb"]}
    given = config(vpc="vpc-0123456789abcdef0", subnets=subnets)
    named = {one.name for one in checks(given, STACK)}
    assert named == {f"quota: {quota.name}" for quota in (SPOT_G, ON_DEMAND_STANDARD)}

"""The capacity reservation of a stack: its type, zone, kind, number and dates against the settings."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.quotas import checks as quota_checks
from infra.aws.preflight.reservation import checks
from infra.preflight.finding import Finding
from tests.infra.aws.preflight.conftest import STACK, Account, answers, config

ID = "cr-0123456789abcdef0"
STACK_FILE: dict[str, Any] = {
    "reservation": ID,
    "onDemandPercentage": 100,
    "instanceTypes": ["g5.12xlarge"],
    "zones": ["eu-west-1a"],
    "workers": 2,
    "maxWorkers": 2,
}
END = datetime(2030, 6, 1, 11, 30, tzinfo=timezone.utc)


def look(cloud: Cloud, account: Account, values: dict[str, Any] | None = None, **found: Any) -> Finding:
    answer = {
        "CapacityReservationId": ID,
        "InstanceType": "g5.12xlarge",
        "AvailabilityZone": "eu-west-1a",
        "TotalInstanceCount": 2,
        "AvailableInstanceCount": 2,
        "State": "active",
        "ReservationType": "default",
        **found,
    }
    account.answers["DescribeCapacityReservations"] = lambda _: {"CapacityReservations": [answer]}
    return answers(checks(config(**{**STACK_FILE, **(values or {})}), STACK), cloud)["reservation"]


def test_without_a_reservation_none_is_asked_for() -> None:
    assert checks(config(), STACK) == []


def test_a_reservation_that_fits_is_told_with_its_numbers_and_its_end(cloud: Cloud, account: Account) -> None:
    found = look(cloud, account, EndDate=END)
    assert found.verdict == "passed"
    assert found.detail == f"{ID}: 2 g5.12xlarge in eu-west-1a, until 2030-06-01 11:30 UTC; 2 free"


@pytest.mark.parametrize(
    ("found", "why", "fix"),
    [
        (
            {"InstanceType": "g5.24xlarge"},
            "the stack's type is g5.12xlarge",
            "'instanceTypes[0]' g5.24xlarge",
        ),
        (
            {"AvailabilityZone": "eu-west-1b"},
            "the stack's workers are in eu-west-1a",
            "'zones[0]' eu-west-1b",
        ),
        (
            {"ReservationType": "capacity-block"},
            "it is a capacity block (capacityBlock: false)",
            "capacityBlock true",
        ),
        ({"TotalInstanceCount": 1}, "workers is 2", "set workers 1"),
        ({"State": "expired"}, "it is expired", "set reservation ID"),
        ({"State": "cancelled"}, "it is cancelled", "set reservation ID"),
    ],
)
def test_a_reservation_in_which_no_worker_would_start_fails(
    found: dict[str, Any], why: str, fix: str, cloud: Cloud, account: Account
) -> None:
    finding = look(cloud, account, **found)
    assert finding.failed
    assert why in finding.detail
    assert fix in finding.fix
    assert f"--stack {STACK}" in finding.fix


def test_a_block_that_is_none_fails(cloud: Cloud, account: Account) -> None:
    block = {
        "region": "eu-west-1",
        "instanceTypes": ["p4d.24xlarge"],
        "zones": ["eu-west-1c"],
        "capacityBlock": True,
    }
    finding = look(cloud, account, block, InstanceType="p4d.24xlarge", AvailabilityZone="eu-west-1c")
    assert finding.failed
    assert "it is not a capacity block (capacityBlock: true)" in finding.detail


def test_a_block_that_begins_later_is_worth_a_note(cloud: Cloud, account: Account) -> None:
    start = datetime.now(timezone.utc) + timedelta(days=1)
    found = look(cloud, account, State="scheduled", StartDate=start)
    assert found.verdict == "note"
    assert f"from {start:%Y-%m-%d %H:%M} UTC; it is scheduled" in found.detail


def test_more_workers_than_reserved_are_worth_a_note(cloud: Cloud, account: Account) -> None:
    found = look(cloud, account, {"maxWorkers": 4})
    assert found.verdict == "note"
    assert "set maxWorkers 2" in found.fix


def test_instances_that_may_be_this_stacks_own_are_no_failure(cloud: Cloud, account: Account) -> None:
    found = look(cloud, account, AvailableInstanceCount=0)
    assert found.verdict == "note"
    assert "0 are free, unless" in found.detail


GROUP = "arn:aws:ec2:eu-west-1:123456789012:placement-group/theirs"


def test_a_reservation_in_another_placement_group_fails_beside_one_of_the_stacks(
    cloud: Cloud, account: Account
) -> None:
    found = look(cloud, account, {"placementGroup": True}, PlacementGroupArn=GROUP)
    assert found.failed
    assert "it is in placement group theirs, and this stack's workers start in" in found.detail
    assert found.fix == f"Run `pulumi config rm placementGroup --stack {STACK}`."


def test_a_reservation_in_a_placement_group_that_workers_do_not_name_is_worth_a_note(
    cloud: Cloud, account: Account
) -> None:
    found = look(cloud, account, PlacementGroupArn=GROUP)
    assert found.verdict == "note"
    assert "placement group theirs, which the workers do not name" in found.detail
    assert look(cloud, account, PlacementGroupArn=GROUP, State="expired").failed


@pytest.mark.parametrize(
    "code", ["InvalidCapacityReservationId.NotFound", "InvalidCapacityReservationId.Malformed"]
)
def test_a_reservation_that_is_not_there_fails(code: str, cloud: Cloud, account: Account) -> None:
    account.refuses("DescribeCapacityReservations", code, "no")
    found = answers(checks(config(**STACK_FILE), STACK), cloud)["reservation"]
    assert found.failed
    assert "describe-capacity-reservations" in found.fix


def test_a_lacking_right_leaves_it_open(cloud: Cloud, account: Account) -> None:
    account.denies("DescribeCapacityReservations")
    found = answers(checks(config(**STACK_FILE), STACK), cloud)["reservation"]
    assert found.verdict == "skipped"
    assert "DescribeCapacityReservations" in found.detail


def test_reservations_of_a_group_are_not_looked_at_and_that_is_said(cloud: Cloud) -> None:
    arn = "arn:aws:resource-groups:eu-west-1:123456789012:group/training"
    found = answers(checks(config(**{**STACK_FILE, "reservation": arn}), STACK), cloud)["reservation"]
    assert (found.verdict, found.detail) == (
        "note",
        f"{arn}: the reservations of the group were not looked at",
    )


def test_workers_in_a_reservation_need_no_quota_of_their_own(cloud: Cloud, account: Account) -> None:
    account.default_quota = 4
    names = answers(quota_checks(config(**STACK_FILE), STACK), cloud)
    assert "quota: on demand, G and VT" not in names
    assert names["quota: on demand, standard"].verdict == "passed"

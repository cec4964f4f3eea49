"""The group's size, told to it when it is ready for machines. The service is moto's, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import boto3
import pytest

from bootstrap.errors import CaffeSparkError
from infra.aws.capacity import CapacityProvider
from tests.cloud.aws_account import REGION, add_group

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient

GROUP: Final = "caffe-spark-x-workers"
PROPS = {"region": REGION, "group": GROUP, "arn": "arn:1", "least": 1.0, "most": 4.0, "desired": 2.0}


@pytest.fixture
def scaling(aws_account: None) -> AutoScalingClient:
    client = boto3.client("autoscaling", region_name=REGION)
    add_group(client, GROUP)
    return client


def sizes(client: AutoScalingClient) -> list[int]:
    (group,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
    return [group["MinSize"], group["MaxSize"], group["DesiredCapacity"]]


def test_a_group_that_was_made_empty_gets_its_machines(scaling: AutoScalingClient) -> None:
    CapacityProvider().create(PROPS)
    assert sizes(scaling) == [1, 4, 2]


def test_another_number_in_the_stack_is_told_to_the_group(scaling: AutoScalingClient) -> None:
    CapacityProvider().create(PROPS)
    less = {**PROPS, "least": 0.0, "most": 1.0, "desired": 1.0}
    assert CapacityProvider().diff(GROUP, PROPS, less).changes
    CapacityProvider().update(GROUP, PROPS, less)
    assert sizes(scaling) == [0, 1, 1], "the new maximum may be below the old minimum"


def test_a_second_up_says_nothing_and_a_new_group_of_the_name_is_told_again() -> None:
    found = CapacityProvider().diff(GROUP, PROPS, dict(PROPS))
    assert not found.changes
    assert CapacityProvider().diff(GROUP, PROPS, {**PROPS, "arn": "arn:2"}).changes


def test_a_refresh_sees_what_somebody_else_told_the_group(scaling: AutoScalingClient) -> None:
    CapacityProvider().create(PROPS)
    scaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=3)
    found = CapacityProvider().read(GROUP, PROPS)
    assert found.outs is not None
    assert found.outs["desired"] == 3
    assert CapacityProvider().diff(GROUP, found.outs, PROPS).changes, "`up` takes it back"


def test_a_group_that_is_gone_is_gone(scaling: AutoScalingClient) -> None:
    assert CapacityProvider().read("other", PROPS).id == ""
    with pytest.raises(CaffeSparkError):
        CapacityProvider().create({**PROPS, "group": "other"})

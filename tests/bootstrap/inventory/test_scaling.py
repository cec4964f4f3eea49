"""Groups that grow for jobs, against moto."""

from __future__ import annotations

import boto3
import pytest

from bootstrap.cluster import AutoScalingGroup
from bootstrap.errors import StackError
from bootstrap.inventory.scaling import grow
from tests.cloud.aws_account import REGION, add_group, aws_account, read_once

__all__ = ["aws_account", "read_once"]

GROUP = AutoScalingGroup(name="workers", region=REGION, desired_capacity=2, scales=True, max_size=4)


@pytest.fixture(autouse=True)
def group(aws_account: None) -> None:
    client = boto3.client("autoscaling", region_name=REGION)
    add_group(client, GROUP.name)
    client.update_auto_scaling_group(AutoScalingGroupName=GROUP.name, MinSize=0, MaxSize=4, DesiredCapacity=1)


def desired() -> int:
    client = boto3.client("autoscaling", region_name=REGION)
    (found,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP.name])["AutoScalingGroups"]
    return found["DesiredCapacity"]


def test_a_group_grows_to_what_a_job_needs() -> None:
    assert grow(GROUP, 3, "dev") == (1, 3)
    assert desired() == 3


def test_a_group_grows_no_further_than_its_greatest_size() -> None:
    assert grow(GROUP, 9, "dev") == (1, 4)
    assert desired() == 4


def test_a_group_that_is_large_enough_stays() -> None:
    assert grow(GROUP, 1, "dev") == (1, 1)
    assert grow(GROUP, 0, "dev") == (1, 1)
    assert desired() == 1


def test_a_group_that_is_gone_is_told() -> None:
    with pytest.raises(StackError, match="has no Auto Scaling group others"):
        grow(GROUP.model_copy(update={"name": "others"}), 3, "dev")

"""Groups that grow for jobs, against moto."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from bootstrap.cluster import AutoScalingGroup
from bootstrap.errors import StackError
from bootstrap.inventory.scaling import grow, shrink
from tests.cloud.aws_account import REGION, add_group, answers, aws_account, read_once

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
    assert grow(GROUP, 3, "dev")[:2] == (1, 3)
    assert desired() == 3


def test_a_group_grows_no_further_than_its_greatest_size() -> None:
    assert grow(GROUP, 9, "dev")[:2] == (1, 4)
    assert desired() == 4


def test_a_group_that_is_large_enough_stays() -> None:
    assert grow(GROUP, 1, "dev")[:2] == (1, 1)
    assert grow(GROUP, 0, "dev")[:2] == (1, 1)
    assert desired() == 1


def test_a_group_that_is_gone_is_told() -> None:
    with pytest.raises(StackError, match="has no Auto Scaling group others"):
        grow(GROUP.model_copy(update={"name": "others"}), 3, "dev")


def members() -> list[str]:
    client = boto3.client("autoscaling", region_name=REGION)
    (found,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP.name])["AutoScalingGroups"]
    return [one["InstanceId"] for one in found["Instances"] if one["LifecycleState"] == "InService"]


def test_named_instances_end_and_others_stay() -> None:
    earlier = grow(GROUP, 4, "dev").members
    last = members()[-1]
    assert shrink(GROUP, [last], 0) == (4, 3)
    assert earlier < set(members())
    assert last not in members()


def test_instances_of_others_are_not_ended() -> None:
    assert shrink(GROUP, ["i-0123456789abcdef0"], 0) == (1, 1)


def test_one_that_aws_launches_meanwhile_takes_no_other_ones_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the desired capacity falls below what is there, Auto Scaling would choose what ends."""
    wanted, there = [3], ["i-busy"]
    ended: list[str] = []

    def answer(_: str, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        if operation == "UpdateAutoScalingGroup":
            wanted[0] = asked["DesiredCapacity"]
            if wanted[0] == 1 and not ended:
                there.append("i-late")
        elif operation == "TerminateInstanceInAutoScalingGroup":
            ended.append(asked["InstanceId"])
            there.remove(asked["InstanceId"])
            wanted[0] -= 1
            return {"Activity": {}}
        listed = [{"InstanceId": one, "LifecycleState": "InService"} for one in there]
        return {"AutoScalingGroups": [{"DesiredCapacity": wanted[0], "Instances": listed}]}

    answers(monkeypatch, answer)
    assert shrink(GROUP, [], 2) == (3, 1)
    assert (there, ended) == (["i-busy"], ["i-late"])

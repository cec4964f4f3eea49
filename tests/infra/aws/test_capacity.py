"""The group's size, told to it when it is ready for machines. The service is moto's, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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


@pytest.fixture
def mixed(aws_account: None) -> AutoScalingClient:
    """A group with a policy whose on-demand base the head has raised."""
    ec2 = boto3.client("ec2", region_name=REGION)
    data: Any = {"ImageId": "ami-0cccccccccccccccc", "InstanceType": "t3.micro"}
    template = ec2.create_launch_template(LaunchTemplateName="any", LaunchTemplateData=data)["LaunchTemplate"]
    kinds: Any = [{"InstanceType": "t3.micro"}, {"InstanceType": "t3.small"}]
    chosen: Any = {"LaunchTemplateId": template["LaunchTemplateId"], "Version": "1"}
    shares: Any = {"OnDemandBaseCapacity": 2, "SpotAllocationStrategy": "price-capacity-optimized"}
    client = boto3.client("autoscaling", region_name=REGION)
    client.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MixedInstancesPolicy={
            "LaunchTemplate": {"LaunchTemplateSpecification": chosen, "Overrides": kinds},
            "InstancesDistribution": shares,
        },
        MinSize=0,
        MaxSize=4,
        AvailabilityZones=[f"{REGION}a"],
    )
    return client


def policy(client: AutoScalingClient) -> dict[str, Any]:
    (group,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
    found: Any = group["MixedInstancesPolicy"]
    return dict(found)


def test_a_fallback_that_the_stack_gives_up_ends_with_the_stacks_own_share(mixed: AutoScalingClient) -> None:
    on, off = ({**PROPS, "base": 1.0, "fallback": given} for given in (True, False))
    before = policy(mixed)
    assert CapacityProvider().diff(GROUP, on, off).changes
    CapacityProvider().update(GROUP, on, off)
    after = policy(mixed)
    assert after["InstancesDistribution"].pop("OnDemandBaseCapacity") == 1
    assert before["InstancesDistribution"].pop("OnDemandBaseCapacity") == 2
    assert after == before
    assert sizes(mixed) == [0, 4, 0], "workers that are stopped stay stopped"


def test_a_fallback_that_begins_changes_nothing_of_the_group(mixed: AutoScalingClient) -> None:
    on = {**PROPS, "base": 1.0, "fallback": True}
    assert CapacityProvider().diff(GROUP, PROPS, on).changes, "the state says who sets the share"
    CapacityProvider().update(GROUP, PROPS, on)
    assert policy(mixed)["InstancesDistribution"]["OnDemandBaseCapacity"] == 2
    assert not CapacityProvider().diff(GROUP, on, {**on, "base": 0.0}).changes, "the head sets it"


def test_a_stack_of_an_earlier_version_sees_no_change() -> None:
    assert not CapacityProvider().diff(GROUP, PROPS, {**PROPS, "base": 0.0, "fallback": False}).changes


SCALES = {**PROPS, "base": 0.0, "fallback": False, "scales": True}


def test_a_group_that_has_grown_for_a_job_keeps_its_size_over_updates(scaling: AutoScalingClient) -> None:
    CapacityProvider().create(SCALES)
    scaling.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=0, DesiredCapacity=4)
    found = CapacityProvider().read(GROUP, SCALES)
    assert found.outs is not None
    assert not CapacityProvider().diff(GROUP, found.outs, SCALES).changes
    larger = {**SCALES, "most": 8.0}
    CapacityProvider().update(GROUP, SCALES, larger)
    assert sizes(scaling) == [1, 8, 4]
    fewer = {**larger, "desired": 1.0}
    CapacityProvider().update(GROUP, larger, fewer)
    assert sizes(scaling) == [1, 8, 1], "the stack asks for it"


def test_a_group_that_scales_no_more_has_the_stacks_size(scaling: AutoScalingClient) -> None:
    CapacityProvider().create(SCALES)
    scaling.update_auto_scaling_group(AutoScalingGroupName=GROUP, DesiredCapacity=4)
    fixed = {**SCALES, "scales": False}
    assert CapacityProvider().diff(GROUP, SCALES, fixed).changes
    CapacityProvider().update(GROUP, SCALES, fixed)
    assert sizes(scaling) == [1, 4, 2]


def test_a_group_that_is_gone_is_gone(scaling: AutoScalingClient) -> None:
    assert CapacityProvider().read("other", PROPS).id == ""
    with pytest.raises(CaffeSparkError):
        CapacityProvider().create({**PROPS, "group": "other"})

"""Requests about the group against moto's servers: signed, over HTTP, with moto's shapes of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from bootstrap.join.on_node import group
from bootstrap.join.on_node.group import Group
from tests.bootstrap.join.on_node.conftest import NAME

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient

REGION = "eu-west-1"
KEYS: dict[str, Any] = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


@pytest.fixture
def scaling(url: str) -> AutoScalingClient:
    """AWS with a group of two workers, at least one, in two zones."""
    client = boto3.client("autoscaling", region_name=REGION, endpoint_url=url, **KEYS)
    client.create_launch_configuration(
        LaunchConfigurationName="any", ImageId="ami-0cccccccccccccccc", InstanceType="t3.micro"
    )
    for name in (NAME, "somebodys-workers"):
        client.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchConfigurationName="any",
            MinSize=1,
            MaxSize=4,
            DesiredCapacity=2,
            AvailabilityZones=["eu-west-1a", "eu-west-1b"],
        )
    return client


def test_the_groups_own_instances_are_listed_with_types_and_zones(scaling: AutoScalingClient) -> None:
    found = group.describe()
    assert found.desired == 2
    assert {(one.type, one.state) for one in found.instances} == {("t3.micro", "InService")}
    assert {one.zone for one in found.instances} <= {"eu-west-1a", "eu-west-1b"}
    listed = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"][0]
    assert {one.id for one in found.instances} == {one["InstanceId"] for one in listed["Instances"]}


def test_the_share_on_demand_and_the_markets_are_read_as_aws_tells_them(scaling: AutoScalingClient) -> None:
    url = scaling.meta.endpoint_url
    ec2 = boto3.client("ec2", region_name=REGION, endpoint_url=url, **KEYS)
    data: Any = {"ImageId": "ami-0cccccccccccccccc", "InstanceType": "t3.micro"}
    template = ec2.create_launch_template(LaunchTemplateName="any", LaunchTemplateData=data)["LaunchTemplate"]
    scaling.delete_auto_scaling_group(AutoScalingGroupName=NAME, ForceDelete=True)
    shares: Any = {"OnDemandBaseCapacity": 1, "SpotAllocationStrategy": "price-capacity-optimized"}
    chosen: Any = {"LaunchTemplateId": template["LaunchTemplateId"], "Version": "1"}
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=NAME,
        MixedInstancesPolicy={
            "LaunchTemplate": {"LaunchTemplateSpecification": chosen},
            "InstancesDistribution": shares,
        },
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=2,
        AvailabilityZones=["eu-west-1a"],
    )
    found = group.describe()
    assert found.base == 1
    assert dict(found.distribution) == {name: str(value) for name, value in shares.items()}
    # moto launches every instance on demand, and remembers those of the group before
    known = group.instance_markets()
    assert [known[one.id] for one in found.instances] == ["on-demand"] * 2
    assert group.failed_launches() == []


def test_workers_stop_though_the_group_has_a_least_size(scaling: AutoScalingClient) -> None:
    group.stop_workers()
    assert group.describe() == Group(0, [])
    sizes = {
        one["AutoScalingGroupName"]: (one["MinSize"], one["MaxSize"], one["DesiredCapacity"])
        for one in scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    }
    assert sizes == {NAME: (0, 4, 0), "somebodys-workers": (1, 4, 2)}


def test_a_group_that_does_not_exist_is_told(scaling: AutoScalingClient) -> None:
    scaling.delete_auto_scaling_group(AutoScalingGroupName=NAME, ForceDelete=True)
    with pytest.raises(RuntimeError, match=f"there is no group {NAME}"):
        group.describe()


def test_spot_prices_come_by_type_and_zone(scaling: AutoScalingClient) -> None:
    found = group.spot_prices(["c4.large", "m4.large"], 1_700_000_000.0)
    assert {kind for kind, _ in found} == {"c4.large", "m4.large"}
    assert {zone for _, zone in found} <= {"eu-west-1a", "eu-west-1b", "eu-west-1c"}
    assert all(price > 0 for price in found.values())

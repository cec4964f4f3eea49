"""The end of `fallbackAfter` between the head and `pulumi up`, against moto's servers over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from bootstrap.join.on_node import group, markets
from bootstrap.join.on_node.account import new
from bootstrap.join.on_node.group import Launch
from infra.aws.capacity import CapacityProvider
from tests.bootstrap.join.on_node.conftest import NAME

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient

REGION = "eu-west-1"
DRY = "Could not launch Spot Instances. UnfulfillableCapacity - There is no capacity available."
ON: dict[str, Any] = {"fallback_seconds": 600, "on_demand_base": 0, "on_demand_percentage": 0}
OFF: dict[str, Any] = {**ON, "fallback_seconds": None}


@pytest.fixture
def scaling(url: str, monkeypatch: pytest.MonkeyPatch) -> AutoScalingClient:
    """AWS with a group without workers of which two are wanted, on spot."""
    for name, text in {
        "ACCESS_KEY_ID": "testing",
        "SECRET_ACCESS_KEY": "testing",
        "ENDPOINT_URL": url,
    }.items():
        monkeypatch.setenv(f"AWS_{name}", text)
    ec2 = boto3.client("ec2", region_name=REGION)
    data: Any = {"ImageId": "ami-0cccccccccccccccc", "InstanceType": "t3.micro"}
    template = ec2.create_launch_template(LaunchTemplateName="any", LaunchTemplateData=data)["LaunchTemplate"]
    chosen: Any = {"LaunchTemplateId": template["LaunchTemplateId"], "Version": "1"}
    client = boto3.client("autoscaling", region_name=REGION)
    client.create_auto_scaling_group(
        AutoScalingGroupName=NAME,
        MixedInstancesPolicy={
            "LaunchTemplate": {"LaunchTemplateSpecification": chosen},
            "InstancesDistribution": {"OnDemandBaseCapacity": 0, "OnDemandPercentageAboveBaseCapacity": 0},
        },
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=2,
        AvailabilityZones=[f"{REGION}a"],
    )
    return client


def base(client: AutoScalingClient) -> int:
    (found,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"]
    return found["MixedInstancesPolicy"]["InstancesDistribution"]["OnDemandBaseCapacity"]


def up() -> None:
    """Do what `pulumi up` does of the group, once it has written the limits."""
    props = {"region": REGION, "group": NAME, "arn": "arn:1", "least": 0.0, "most": 4.0, "desired": 2.0}
    olds, news = ({**props, "base": 0.0, "fallback": given} for given in (True, False))
    CapacityProvider().update(NAME, olds, news)


@pytest.mark.parametrize("first", ["up", "head"])
def test_the_stacks_own_base_stays_whoever_writes_it_last(
    scaling: AutoScalingClient, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    account = new(0.0)
    account["dry_since"] = 60.0
    limits: list[Mapping[str, Any]] = [ON]
    bases: list[int] = []

    def between(_: group.Group, wanted: int) -> None:
        """`up` comes while the head is about to change the base. moto takes none without a template."""
        if limits[0] is ON:
            limits[0] = OFF
            if first == "up":
                up()
        (found,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"]
        policy: Any = found["MixedInstancesPolicy"]
        policy["LaunchTemplate"]["LaunchTemplateSpecification"].pop("LaunchTemplateName", None)
        policy["InstancesDistribution"]["OnDemandBaseCapacity"] = wanted
        bases.append(wanted)
        scaling.update_auto_scaling_group(AutoScalingGroupName=NAME, MixedInstancesPolicy=policy)

    monkeypatch.setattr(markets, "set_on_demand_base", between)
    monkeypatch.setattr(markets, "failed_launches", lambda: [Launch(660.0, DRY)])
    missing = group.describe()._replace(instances=[])
    assert markets.fall_back(account, missing, ON, 720.0, lambda: limits[0])
    if first == "head":
        up()
    assert (base(scaling), account["fallback"], bases) == (0, 0, [2, 0])

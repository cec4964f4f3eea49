"""The group of spot workers, as it is registered."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from bootstrap.join import user_data as boot
from infra.aws.workers import GpuSpotWorkers, GpuSpotWorkersArgs
from tests.infra.aws.conftest import REGION, STACK, Recording, record
from tests.infra.aws.identities import identity

GROUP = "aws:autoscaling/group:Group"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GRANT = "aws:kms/grant:Grant"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
HOOK = "aws:autoscaling/lifecycleHook:LifecycleHook"
TYPES = ("g4dn.xlarge", "g5.xlarge")
TAGS = {"Project": "caffe-spark", "Stack": STACK, "ManagedBy": "pulumi"}


@cache
def made(
    base: int = 0,
    percentage: int = 0,
    price: str | None = None,
    root_device: str = "/dev/sda1",
    rebalance: bool = True,
    key: str | None = None,
    grant: bool = True,
    reservation: str | None = None,
    block: bool = False,
    fallback: bool = False,
    efa: int = 0,
    placement: str | None = None,
) -> Recording:
    def build() -> None:
        args = GpuSpotWorkersArgs(
            stack=STACK,
            region=REGION,
            group="caffe-spark-test-workers",
            min_size=1,
            max_size=4,
            desired_capacity=2,
            instance_types=TYPES,
            image="ami-0000000000000000c",
            root_device=root_device,
            volume_gb=100,
            identity=identity(),
            head_role="head-role",
            user_data="#!/bin/sh\necho größer\n",
            key_pair=None,
            on_demand_base=base,
            on_demand_percentage=percentage,
            reservation=reservation,
            capacity_block=block,
            max_price=Decimal(price) if price else None,
            capacity_rebalance=rebalance,
            efa_interfaces=efa,
            placement_group=placement,
            subnet_ids=["subnet-a", "subnet-b"],
            security_group_ids=["sg-1"],
            tags=TAGS,
            volume_key=key,
            grant_key=grant,
            fallback=fallback,
        )
        GpuSpotWorkers("workers", args)

    return record(build)


def policy(**given: Any) -> dict[str, Any]:
    found: dict[str, Any] = made(**given).the(GROUP).inputs["mixedInstancesPolicy"]
    return found


def distribution(**given: Any) -> dict[str, Any]:
    found: dict[str, Any] = policy(**given)["instancesDistribution"]
    return found


def test_it_takes_several_types_in_every_zone() -> None:
    overrides = policy()["launchTemplate"]["overrides"]
    assert tuple(override["instanceType"] for override in overrides) == TYPES
    assert made().the(GROUP).inputs["vpcZoneIdentifiers"] == ["subnet-a", "subnet-b"]


def test_workers_are_spot_instances_from_pools_that_last() -> None:
    assert distribution()["spotAllocationStrategy"] == "price-capacity-optimized"
    assert distribution()["onDemandBaseCapacity"] == 0
    assert distribution()["onDemandPercentageAboveBaseCapacity"] == 0


@pytest.mark.parametrize("rebalance", [True, False])
def test_workers_at_risk_are_replaced_unless_the_stack_says_otherwise(rebalance: bool) -> None:
    assert made(rebalance=rebalance).the(GROUP).inputs["capacityRebalance"] is rebalance


def test_some_are_on_demand_where_the_stack_says_so() -> None:
    found = distribution(base=1, percentage=25)
    assert (found["onDemandBaseCapacity"], found["onDemandPercentageAboveBaseCapacity"]) == (1, 25)
    assert found["onDemandAllocationStrategy"] == "prioritized", "in the stack's order"


@pytest.mark.parametrize(("price", "said"), [("0.80", "0.80"), ("1.5", "1.5")])
def test_a_maximum_price_is_said_as_it_was_written(price: str, said: str) -> None:
    assert distribution(price=price)["spotMaxPrice"] == said


def test_without_a_maximum_price_the_on_demand_price_is_the_limit() -> None:
    assert "spotMaxPrice" not in distribution()


def test_without_a_reservation_none_is_targeted() -> None:
    template = made().the(TEMPLATE).inputs
    assert "capacityReservationSpecification" not in template
    assert "instanceMarketOptions" not in template
    assert "launchTemplate" not in made().the(GROUP).inputs


RESERVATION = "cr-0123456789abcdef0"
ARN = "arn:aws:resource-groups:eu-west-1:123456789012:group/training"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        (RESERVATION, {"capacityReservationId": RESERVATION}),
        (ARN, {"capacityReservationResourceGroupArn": ARN}),
    ],
)
def test_workers_of_a_reservation_are_of_one_type_by_their_template(
    name: str, target: dict[str, str]
) -> None:
    recording = made(reservation=name)
    template, group = recording.the(TEMPLATE), recording.the(GROUP).inputs
    specification = template.inputs["capacityReservationSpecification"]
    assert specification == {"capacityReservationTarget": target}
    assert template.inputs["instanceType"] == TYPES[0]
    assert "instanceMarketOptions" not in template.inputs
    assert "mixedInstancesPolicy" not in group
    assert set(group["launchTemplate"]) == {"id", "version"}


def test_workers_of_a_capacity_block_name_its_market() -> None:
    template = made(reservation=RESERVATION, block=True).the(TEMPLATE).inputs
    assert template["instanceMarketOptions"] == {"marketType": "capacity-block"}


def test_machines_come_only_when_the_hooks_are_there() -> None:
    """The group is made empty, and told its size afterwards."""
    group = made().the(GROUP)
    assert group.inputs["minSize"] == 0
    assert "desiredCapacity" not in group.inputs
    capacity = made().named("workers-capacity")
    assert [capacity.inputs[size] for size in ("least", "most", "desired")] == [1, 4, 2]
    assert {hook.urn for hook in made().of(HOOK).values()} <= capacity.depends_on
    assert made().named("workers-lifecycle").urn in capacity.depends_on
    assert group.options["ignore_changes"] == ("minSize", "maxSize", "desiredCapacity")


def test_the_share_on_demand_is_the_stacks_unless_the_head_sets_it() -> None:
    group = made(fallback=True).the(GROUP)
    assert group.options["ignore_changes"][3:] == (
        "mixedInstancesPolicy.instancesDistribution.onDemandBaseCapacity",
    )
    assert distribution(base=1, fallback=True)["onDemandBaseCapacity"] == 1, "as it is made"
    assert made(base=1, fallback=True).named("workers-capacity").inputs["base"] == 1
    assert [made(fallback=given).named("workers-capacity").inputs["fallback"] for given in (True, False)] == [
        True,
        False,
    ]


def test_the_head_may_set_the_share_of_this_group_where_the_stack_says_so() -> None:
    allowed = made(fallback=True).named("workers-fallback")
    assert allowed.inputs["role"] == "head-role"
    share, looks = json.loads(allowed.inputs["policy"])["Statement"]
    assert (share["Action"], share["Resource"]) == (
        "autoscaling:UpdateAutoScalingGroup",
        made(fallback=True).the(GROUP).outputs["arn"],
    )
    assert share["Condition"]["Null"] == {
        f"autoscaling:{key}": "true"
        for key in ("MinSize", "MaxSize", "LaunchConfigurationName", "VPCZoneIdentifiers")
    }
    assert looks["Action"] == "autoscaling:DescribeScalingActivities"
    assert "workers-fallback" not in {one.name for one in made().aws}


def test_a_machine_that_does_not_come_up_is_replaced_and_one_that_goes_gets_the_time_it_has() -> None:
    hooks = {hook.inputs["name"]: hook.inputs for hook in made().of(HOOK).values()}
    joining, leaving = hooks[boot.LAUNCH_HOOK], hooks[boot.TERMINATE_HOOK]
    assert joining["lifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
    assert (joining["defaultResult"], joining["heartbeatTimeout"]) == ("ABANDON", 1800)
    assert leaving["lifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert (leaving["defaultResult"], leaving["heartbeatTimeout"]) == ("CONTINUE", 110)


def test_workers_may_complete_the_actions_of_this_group_alone() -> None:
    allowed = made().named("workers-lifecycle").inputs
    (statement,) = json.loads(allowed["policy"])["Statement"]
    assert statement["Resource"] == made().the(GROUP).outputs["arn"]
    assert allowed["role"] == "role"


def test_nobody_waits_for_capacity_that_is_not_there() -> None:
    assert made().the(GROUP).inputs["waitForCapacityTimeout"] == "0"


def test_no_machine_that_works_is_taken_away_for_neatness() -> None:
    group = made().the(GROUP).inputs
    assert group["suspendedProcesses"] == ["AZRebalance"]
    assert "instanceRefresh" not in group
    assert made().the(GROUP).options["delete_before_replace"], "the name is fixed"


def test_health_is_checked_and_a_new_machine_has_a_minute_to_settle() -> None:
    group = made().the(GROUP).inputs
    assert group["healthCheckType"] == "EC2"
    assert (group["healthCheckGracePeriod"], group["defaultInstanceWarmup"]) == (60, 60)


def test_metadata_is_given_to_callers_with_a_token_on_the_machine_itself_only() -> None:
    options = made().the(TEMPLATE).inputs["metadataOptions"]
    assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)


@pytest.mark.parametrize("root_device", ["/dev/sda1", "/dev/xvda"])
def test_disks_are_encrypted_and_go_with_their_machine(root_device: str) -> None:
    (mapping,) = made(root_device=root_device).the(TEMPLATE).inputs["blockDeviceMappings"]
    assert mapping["deviceName"] == root_device
    assert mapping["ebs"] == {
        "volumeType": "gp3",
        "volumeSize": 100,
        "encrypted": "true",
        "deleteOnTermination": "true",
    }


def test_volumes_have_the_stacks_key() -> None:
    (mapping,) = made(key=KEY).the(TEMPLATE).inputs["blockDeviceMappings"]
    assert mapping["ebs"]["kmsKeyId"] == KEY
    assert mapping["ebs"]["encrypted"] == "true"


def test_auto_scalings_role_is_granted_the_key_before_an_instance_is_launched() -> None:
    recording = made(key=KEY)
    grant = recording.the(GRANT)
    assert grant.inputs["keyId"] == KEY
    assert grant.inputs["granteePrincipal"] == (
        "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    )
    assert {"CreateGrant", "GenerateDataKeyWithoutPlaintext"} <= set(grant.inputs["operations"])
    assert recording.the(GROUP).urn in grant.depends_on, "with whose creation AWS makes the role"
    assert grant.urn in recording.named("workers-capacity").depends_on


@pytest.mark.parametrize("given", [{}, {"key": "arn:key", "grant": False}])
def test_no_grant_is_made_without_a_key_or_where_the_keys_policy_opens_it(given: dict[str, Any]) -> None:
    assert made(**given).of(GRANT) == {}


def test_user_data_arrive_as_they_are() -> None:
    text = made().the(TEMPLATE).inputs["userData"]
    assert base64.b64decode(text, validate=True).decode() == "#!/bin/sh\necho größer\n"


def test_the_group_launches_the_template_of_this_moment() -> None:
    specification = policy()["launchTemplate"]["launchTemplateSpecification"]
    template = made().the(TEMPLATE)
    assert specification == {"launchTemplateId": template.id, "version": "7"}


def test_workers_have_no_address_outside() -> None:
    assert "networkInterfaces" not in made().the(TEMPLATE).inputs
    assert made().the(TEMPLATE).inputs["vpcSecurityGroupIds"] == ["sg-1"]


@pytest.mark.parametrize("number", [1, 4, 32])
def test_workers_with_efa_have_an_interface_of_it_on_each_network_card(number: int) -> None:
    template = made(efa=number).the(TEMPLATE).inputs
    found = template["networkInterfaces"]
    assert [one["networkCardIndex"] for one in found] == list(range(number))
    assert [one["deviceIndex"] for one in found] == [0] + [1] * (number - 1)
    assert [one["interfaceType"] for one in found] == ["efa"] + ["efa-only"] * (number - 1)
    assert "vpcSecurityGroupIds" not in template, "AWS refuses both"


def test_efa_interfaces_have_the_workers_groups_no_subnet_no_address_outside_and_go_with_their_machine() -> (
    None
):
    for one in made(efa=2).the(TEMPLATE).inputs["networkInterfaces"]:
        assert one["securityGroups"] == ["sg-1"]
        assert one["deleteOnTermination"] == "true"
        assert not {"subnetId", "associatePublicIpAddress", "networkInterfaceId"} & set(one)


def test_workers_start_in_a_placement_group_where_they_are_given_one() -> None:
    assert made(placement="close").the(GROUP).inputs["placementGroup"] == "close"
    assert "placementGroup" not in made().the(GROUP).inputs


@pytest.mark.parametrize("kind", ["instance", "volume", "network-interface"])
def test_everything_that_is_launched_bears_the_stacks_tags(kind: str) -> None:
    """The provider's default tags do not reach it."""
    specifications = made().the(TEMPLATE).inputs["tagSpecifications"]
    tags = {entry["resourceType"]: entry["tags"] for entry in specifications}
    assert TAGS.items() <= tags[kind].items()
    assert tags[kind]["Name"] == "caffe-spark-test-worker"


@pytest.mark.parametrize(("base", "percentage"), [(0, 0), (0, 50), (1, 0), (0, 100), (4, 0)])
def test_no_spot_request_is_tagged_whichever_markets_the_group_has(base: int, percentage: int) -> None:
    """EC2 refuses each on-demand launch of a template that does, and the share may be raised later."""
    specifications = made(base=base, percentage=percentage).the(TEMPLATE).inputs["tagSpecifications"]
    assert "spot-instances-request" not in {entry["resourceType"] for entry in specifications}


def test_the_group_itself_bears_the_tags_and_hands_them_on() -> None:
    tags = made().the(GROUP).inputs["tags"]
    assert all(tag["propagateAtLaunch"] is True for tag in tags)
    assert TAGS.items() <= {tag["key"]: tag["value"] for tag in tags}.items()


def test_the_head_may_stop_the_workers_of_this_group() -> None:
    recording = made()
    allowed = recording.named("workers-stop")
    assert allowed.inputs["role"] == "head-role"
    stops, lets_go, _ = json.loads(allowed.inputs["policy"])["Statement"]
    for statement in (stops, lets_go):
        assert statement["Resource"] == recording.the(GROUP).outputs["arn"]

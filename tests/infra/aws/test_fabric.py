"""The placement group in a whole stack: before what waits for machines to be gone, and deleted after it."""

from __future__ import annotations

from tests.infra.aws.conftest import STACK, AwsProgram, Recording

GROUP = "aws:autoscaling/group:Group"
PLACEMENT = "aws:ec2/placementGroup:PlacementGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
EFA = {
    "efa": "true",
    "placementGroup": "true",
    "zones": '["eu-west-1c"]',
    "instanceTypes": '["p4d.24xlarge"]',
}


def recorded(**values: str) -> Recording:
    return AwsProgram([]).run(None, **values)


def test_workers_are_in_a_cluster_placement_group_of_the_stacks_with_its_tags() -> None:
    recording = recorded(**EFA)
    made = recording.the(PLACEMENT)
    assert made.inputs["strategy"] == "cluster"
    assert made.inputs["name"] == f"caffe-spark-{STACK}-placement"
    assert made.inputs["tags"] == {"Name": f"caffe-spark-{STACK}-placement"}, "the others are the provider's"
    assert recording.the(GROUP).inputs["placementGroup"] == made.inputs["name"]
    assert made.urn in recording.the(GROUP).depends_on


def test_it_is_deleted_after_the_subnets_and_security_groups_which_wait_for_machines_to_be_gone() -> None:
    recording = recorded(**EFA)
    placement = recording.the(PLACEMENT).urn
    for kind in ("aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/securityGroup:SecurityGroup"):
        for one in recording.of(kind).values():
            assert placement in recording.needs(one), one.name


def test_without_the_setting_there_is_none() -> None:
    recording = recorded()
    assert recording.of(PLACEMENT) == {}
    assert "placementGroup" not in recording.the(GROUP).inputs
    assert "networkInterfaces" not in recording.the(TEMPLATE).inputs


def test_the_cluster_document_says_how_many_efa_devices_a_worker_proves() -> None:
    outputs = recorded(**EFA).outputs
    assert outputs["cluster"]["worker"]["efa"] == 4
    assert outputs["nodes"]["workers"] == (
        "2 (0 to 4) spot, with 4 EFA interfaces each, in a placement group: p4d.24xlarge in eu-west-1c"
    )
    assert recorded().outputs["cluster"]["worker"]["efa"] == 0


def test_both_cost_nothing() -> None:
    alike = {key: value for key, value in EFA.items() if key not in ("efa", "placementGroup")}
    assert recorded(**EFA).outputs["cost"] == recorded(**alike).outputs["cost"]

"""The program in a network, with roles and tags that a company gives: what it takes, and leaves alone."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from bootstrap.cluster import ClusterDocument
from infra.aws.existing import Given, Profile, Profiles
from infra.aws.site import Site
from tests.infra.aws.conftest import REGION, AwsProgram, Recording

VPC = "vpc-0123456789abcdef0"
HEAD, WORKERS = "subnet-0aaaaaaaaaaaaaaaa", ("subnet-0bbbbbbbbbbbbbbbb", "subnet-0cccccccccccccccc")
GROUPS = {"head": ["sg-0aaaaaaaaaaaaaaaa"], "workers": ["sg-0bbbbbbbbbbbbbbbb"]}
GIVEN_IDS = (VPC, HEAD, *WORKERS, "sg-0aaaaaaaaaaaaaaaa", "sg-0bbbbbbbbbbbbbbbb")
SITE = Site(f"{REGION}a", (f"{REGION}b", f"{REGION}c"), "10.1.0.10")
JOB = "arn:aws:iam::123456789012:role/team-jobs"
BOUNDARY = "arn:aws:iam::123456789012:policy/limits"
INSTANCE = "aws:ec2/instance:Instance"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"
ROLE = "aws:iam/role:Role"
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
RULES = {
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
}
THERE: dict[str, Any] = {"vpc": VPC, "subnets": json.dumps({"head": HEAD, "workers": WORKERS})}


def profile(role: str) -> Profile:
    arn = "arn:aws:iam::123456789012:"
    return Profile(
        f"team-{role}",
        f"{arn}instance-profile/team-{role}",
        f"team-{role}-role",
        f"{arn}role/team-{role}-role",
        f"AROA{role.upper()}",
    )


@cache
def recorded(profiles: str = "", **config: str) -> Recording:
    job = JOB if profiles == "all" else None
    given = Profiles(profile("head"), profile("worker"), job) if profiles else None
    if given:
        named = {"head": "team-head", "worker": "team-worker", **({"jobRole": JOB} if job else {})}
        config["instanceProfiles"] = json.dumps(named)
    site = {} if "vpc" not in config else {"site": SITE}
    return AwsProgram([], Given(site.get("site", OWN), given)).run(None, **config)


OWN = Site(f"{REGION}a", (f"{REGION}a", f"{REGION}b", f"{REGION}c"), "10.40.224.10")


def kinds(recording: Recording) -> set[str]:
    return {one.type for one in recording.aws}


NETWORK = (
    *("Vpc", "Subnet", "RouteTable", "RouteTableAssociation", "Route", "InternetGateway", "NatGateway"),
    *("Eip", "VpcEndpoint", "DefaultSecurityGroup", "FlowLog"),
)


def test_in_a_given_network_nothing_of_a_network_is_made() -> None:
    made = {kind.rpartition(":")[2] for kind in kinds(recorded(**THERE))}
    assert made.isdisjoint(NETWORK)


VARIANTS: dict[str, dict[str, str]] = {
    "own groups": {},
    "groups": {"securityGroups": json.dumps(GROUPS)},
    "additional": {"securityGroups": json.dumps({**GROUPS, "additional": True})},
    "VPN": {"adminCidrs": '["10.8.0.0/16"]'},
    "roles": {"profiles": "machines"},
    "all roles": {"profiles": "all"},
}
EVERY = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


@EVERY
def test_what_is_given_is_no_resource_and_gets_no_rule_tag_route_or_policy(variant: dict[str, str]) -> None:
    recording = recorded(**THERE, **variant)
    assert not {one.id for one in recording.resources} & set(GIVEN_IDS)
    for one in recording.aws:
        if one.type in RULES:
            assert one.inputs["securityGroupId"] not in GIVEN_IDS, one.name
        if one.type.startswith("aws:iam/"):
            assert not str(one.inputs.get("role", "")).startswith("team-"), one.name
        attached = [one.inputs.get(key) for key in ("resourceId", "routeTableId", "groupName", "policyArn")]
        assert not {text for text in attached if isinstance(text, str)} & set(GIVEN_IDS), one.name


@EVERY
def test_machines_are_in_the_given_subnets(variant: dict[str, str]) -> None:
    recording = recorded(**THERE, **variant)
    head = recording.the(INSTANCE).inputs
    assert (head["subnetId"], head["privateIp"]) == (HEAD, "10.1.0.10")
    assert head["associatePublicIpAddress"] is False
    assert recording.the(GROUP).inputs["vpcZoneIdentifiers"] == list(WORKERS)
    assert recording.outputs["zones"] == [f"{REGION}{letter}" for letter in "abc"]
    assert recording.outputs["nodes"]["head"].endswith(f"10.1.0.10, {REGION}a")
    assert recording.outputs["nodes"]["workers"].endswith(f"in {REGION}b, {REGION}c")


def groups_of(recording: Recording) -> tuple[Any, Any]:
    head, template = recording.the(INSTANCE).inputs, recording.the(TEMPLATE).inputs
    return head["vpcSecurityGroupIds"], template["vpcSecurityGroupIds"]


def test_the_stacks_own_groups_are_in_the_given_vpc() -> None:
    recording = recorded(**THERE)
    own = [recording.named(f"firewall-{role}") for role in ("head", "worker")]
    assert {one.inputs["vpcId"] for one in own} == {VPC}
    assert groups_of(recording) == ([own[0].id], [own[1].id])


def test_given_groups_are_the_machines_only_ones() -> None:
    recording = recorded(**THERE, **VARIANTS["groups"])
    assert groups_of(recording) == (GROUPS["head"], GROUPS["workers"])
    assert kinds(recording).isdisjoint({"aws:ec2/securityGroup:SecurityGroup", *RULES})


def test_additional_groups_are_beside_the_stacks_own() -> None:
    recording = recorded(**THERE, **VARIANTS["additional"])
    own = [recording.named(f"firewall-{role}").id for role in ("head", "worker")]
    assert groups_of(recording) == ([own[0], *GROUPS["head"]], [own[1], *GROUPS["workers"]])


def test_the_document_and_the_scripts_have_the_heads_address() -> None:
    recording = recorded(**THERE)
    assert ClusterDocument.from_outputs("test", recording.outputs).head.address == "10.1.0.10"
    for role in ("head", "worker"):
        content = recording.of("pulumi-python:dynamic/aws:Upload")[f"{role}-script"].inputs["content"]
        assert "10.1.0.10" in content
        assert "10.40." not in content


def test_without_operators_ssh_goes_through_session_manager() -> None:
    recording = recorded(**THERE)
    cluster = ClusterDocument.from_outputs("test", recording.outputs)
    assert cluster.head.ssh_target == recording.the(INSTANCE).id
    assert cluster.ssh.proxy_command is not None


def test_operators_of_a_vpn_reach_the_heads_private_address() -> None:
    recording = recorded(**THERE, adminCidrs='["10.8.0.0/16"]')
    cluster = ClusterDocument.from_outputs("test", recording.outputs)
    assert (cluster.head.ssh_target, cluster.ssh.proxy_command) == ("10.1.0.10", None)
    assert "ubuntu@10.1.0.10" in recording.outputs["connect"]
    (rule,) = [one for one in recording.aws if one.inputs.get("cidrIpv4") == "10.8.0.0/16"]
    assert (rule.inputs["fromPort"], rule.inputs["securityGroupId"]) == (
        22,
        recording.named("firewall-head").id,
    )


def test_operators_of_the_internet_reach_the_heads_public_address() -> None:
    recording = recorded(**THERE, adminCidrs='["203.0.113.7"]')
    head = recording.the(INSTANCE)
    assert head.inputs["associatePublicIpAddress"] is True
    cluster = ClusterDocument.from_outputs("test", recording.outputs)
    assert cluster.head.ssh_target == head.outputs["publicIp"]


def test_workers_without_a_way_out_have_the_heads_proxy() -> None:
    recording = recorded(**THERE, packageProxy="true")
    assert ClusterDocument.from_outputs("test", recording.outputs).package_proxy
    assert any(one.inputs.get("fromPort") == 3142 for one in recording.aws)


@EVERY
def test_machines_still_go_before_the_bucket(variant: dict[str, str]) -> None:
    recording = recorded(**THERE, **variant)
    contents = recording.named("storage-contents").urn
    for kind in (INSTANCE, GROUP):
        assert contents in recording.needs(recording.the(kind))


# Roles


def test_given_profiles_are_used_and_only_the_jobs_role_is_made() -> None:
    recording = recorded("machines")
    assert recording.the(INSTANCE).inputs["iamInstanceProfile"] == "team-head"
    template = recording.the(TEMPLATE).inputs["iamInstanceProfile"]
    assert template == {"arn": "arn:aws:iam::123456789012:instance-profile/team-worker"}
    assert list(recording.of(ROLE)) == ["identity-job"]
    trust = json.loads(recording.the(ROLE).inputs["assumeRolePolicy"])["Statement"][0]
    assert trust["Principal"] == {"AWS": [profile(role).role_arn for role in ("head", "worker")]}
    assert "identity-job-policy" in {one.name for one in recording.aws}


def test_with_all_three_given_there_is_nothing_of_iam() -> None:
    recording = recorded("all")
    assert not {kind for kind in kinds(recording) if kind.startswith("aws:iam/")}
    cluster = ClusterDocument.from_outputs("test", recording.outputs)
    assert cluster.storage.job_role == JOB  # type: ignore[union-attr]


@pytest.mark.parametrize("role", ["head", "worker"])
def test_a_machine_reports_as_its_given_role_is_called_by_iam(role: str) -> None:
    import base64

    recording = recorded("machines")
    text = recording.the(INSTANCE).inputs["userData"]
    if role == "worker":
        text = base64.b64decode(recording.the(TEMPLATE).inputs["userData"]).decode()
    assert f'"role_id": "AROA{role.upper()}"' in text


def test_every_role_has_the_boundary() -> None:
    recording = recorded(permissionsBoundary=BOUNDARY, flowLogs="true")
    roles = recording.of(ROLE)
    assert set(roles) == {"identity-head", "identity-worker", "identity-job", "network-flows"}
    assert {one.inputs["permissionsBoundary"] for one in roles.values()} == {BOUNDARY}


def test_without_a_boundary_no_role_has_one() -> None:
    assert not any("permissionsBoundary" in one.inputs for one in recorded().of(ROLE).values())


# Tags

TAGS = {"CostCentre": "42", "company/owner": "vision team"}
OURS = {"Project": "caffe-spark", "Stack": "test", "ManagedBy": "pulumi"}


def test_tags_are_on_every_resource_and_on_what_the_group_launches() -> None:
    recording = recorded(tags=json.dumps(TAGS))
    provider = recording.the("pulumi:providers:aws")
    assert json.loads(provider.inputs["defaultTags"]) == {"tags": {**TAGS, **OURS}}
    wanted = {**TAGS, **OURS}.items()
    assert wanted <= recording.the(INSTANCE).inputs["tags"].items()
    assert wanted <= recording.the(INSTANCE).inputs["rootBlockDevice"]["tags"].items()
    for each in recording.the(TEMPLATE).inputs["tagSpecifications"]:
        assert wanted <= each["tags"].items()
    group = {one["key"]: one["value"] for one in recording.the(GROUP).inputs["tags"]}
    assert wanted <= group.items()


@pytest.mark.usefixtures("aws_account")
def test_a_network_that_does_not_fit_is_refused_before_anything_is_made(aws_program: AwsProgram) -> None:
    line = aws_program.refused(**THERE)
    assert line.startswith(f"caffe-spark:vpc = {VPC}: {REGION} of this account has no such VPC")


EFA = {
    "vpc": VPC,
    "subnets": json.dumps({"head": HEAD, "workers": WORKERS[:1]}),
    "efa": "true",
    "placementGroup": "true",
    "instanceTypes": '["p4d.24xlarge"]',
}


@pytest.mark.parametrize("variant", ["own groups", "groups", "additional"])
def test_each_efa_interface_has_the_workers_groups_and_no_subnet(variant: str) -> None:
    recording = recorded(**EFA, **VARIANTS[variant])
    own = [one.id for name, one in recording.of(SECURITY_GROUP).items() if name.endswith("-worker")]
    given = {"own groups": [], "groups": GROUPS["workers"], "additional": GROUPS["workers"]}[variant]
    interfaces = recording.the(TEMPLATE).inputs["networkInterfaces"]
    assert [one["securityGroups"] for one in interfaces] == [[*own, *given]] * 4
    assert not any("subnetId" in one for one in interfaces)
    assert recording.the(GROUP).inputs["vpcZoneIdentifiers"] == [WORKERS[0]]
    everything = [
        one for kind in RULES for one in recording.of(kind).values() if one.inputs["ipProtocol"] == "-1"
    ]
    assert len(everything) == (0 if variant == "groups" else 2), "a company's groups get no rule"


def test_a_placement_group_in_a_given_network_is_deleted_after_the_stacks_security_groups() -> None:
    recording = recorded(**EFA)
    placement = recording.the("aws:ec2/placementGroup:PlacementGroup").urn
    assert all(placement in recording.needs(one) for one in recording.of(SECURITY_GROUP).values())

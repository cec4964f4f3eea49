"""The network against the recording engine: what reaches what, and what is there only when asked for."""

from __future__ import annotations

import json
from functools import cache
from ipaddress import IPv4Network
from typing import Any

import pytest

from infra.aws.network import Network, NetworkArgs
from infra.aws.network_plan import plan
from tests.infra.aws.conftest import ACCOUNT, REGION, STACK, Recording, record

PLAN = plan(IPv4Network("10.40.0.0/16"), [f"{REGION}{letter}" for letter in "abc"])
SUBNET = "aws:ec2/subnet:Subnet"
TABLE = "aws:ec2/routeTable:RouteTable"
ROUTE = "aws:ec2/route:Route"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
NAT = "aws:ec2/natGateway:NatGateway"
EGRESS = pytest.mark.parametrize("egress", ["nat", "endpoints"])


@cache
def made(egress: str = "nat", flow_logs: bool = False, zones: int = 3) -> Recording:
    some = plan(PLAN.cidr, [subnet.zone for subnet in PLAN.subnets[:zones]])
    args = NetworkArgs(stack=STACK, region=REGION, plan=some, egress=egress, flow_logs=flow_logs)  # type: ignore[arg-type]
    return record(lambda: _ignore(Network("network", args)))


def _ignore(_: object) -> None:
    """A program's resources are registered, not returned."""


def routes_of(recording: Recording, kind: str) -> dict[str, dict[str, Any]]:
    """Routes of the public or the private table, by destination."""
    table = recording.of(TABLE)[f"network-{kind}"].id
    return {
        route.inputs["destinationCidrBlock"]: dict(route.inputs)
        for route in recording.of(ROUTE).values()
        if route.inputs["routeTableId"] == table
    }


def test_each_zone_has_the_two_subnets_of_the_plan() -> None:
    subnets = made().of(SUBNET)
    assert {(s.inputs["availabilityZone"], s.inputs["cidrBlock"]) for s in subnets.values()} == {
        (planned.zone, str(network))
        for planned in PLAN.subnets
        for network in (planned.public, planned.private)
    }
    vpc = made().the("aws:ec2/vpc:Vpc")
    assert vpc.inputs["cidrBlock"] == "10.40.0.0/16"
    assert {subnet.inputs["vpcId"] for subnet in subnets.values()} == {vpc.id}


def test_no_subnet_hands_out_public_addresses() -> None:
    assert not any(subnet.inputs["mapPublicIpOnLaunch"] for subnet in made().of(SUBNET).values())


def test_subnets_are_told_in_the_plans_order() -> None:
    (outputs,) = made().components.values()
    subnets = made().of(SUBNET)
    for kind in ("public", "private"):
        ids = [subnets[f"network-{kind}-{planned.zone}"].id for planned in PLAN.subnets]
        assert outputs[f"{kind}_subnet_ids"] == ids
    assert outputs["vpc_id"] == made().the("aws:ec2/vpc:Vpc").id


@EGRESS
def test_every_subnet_has_the_route_table_of_its_kind(egress: str) -> None:
    recording = made(egress)
    tables = {table.id: name for name, table in recording.of(TABLE).items()}
    subnets = {subnet.id: name for name, subnet in recording.of(SUBNET).items()}
    pairs = {
        subnets[one.inputs["subnetId"]]: tables[one.inputs["routeTableId"]]
        for one in recording.of(ASSOCIATION).values()
    }
    assert set(pairs) == set(subnets.values())
    assert all(name.startswith(f"{table}-") for name, table in pairs.items())


@EGRESS
def test_public_subnets_reach_the_internet_through_its_gateway(egress: str) -> None:
    recording = made(egress)
    gateway = recording.the("aws:ec2/internetGateway:InternetGateway")
    assert routes_of(recording, "public")["0.0.0.0/0"]["gatewayId"] == gateway.id


@EGRESS
def test_s3_is_reached_from_every_subnet_without_leaving_the_vpc(egress: str) -> None:
    recording = made(egress)
    endpoint = recording.named("network-s3")
    assert endpoint.inputs["vpcEndpointType"] == "Gateway"
    assert endpoint.inputs["serviceName"] == "com.amazonaws.eu-west-1.s3"
    assert set(endpoint.inputs["routeTableIds"]) == {table.id for table in recording.of(TABLE).values()}


@EGRESS
def test_dns_works_as_private_names_of_endpoints_need_it(egress: str) -> None:
    vpc = made(egress).the("aws:ec2/vpc:Vpc")
    assert (vpc.inputs["enableDnsSupport"], vpc.inputs["enableDnsHostnames"]) == (True, True)


@EGRESS
def test_the_default_security_group_lets_nothing_in_or_out(egress: str) -> None:
    group = made(egress).the("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert not group.inputs.get("ingress")
    assert not group.inputs.get("egress")


def test_one_nat_gateway_serves_every_private_subnet() -> None:
    recording = made("nat")
    nat = recording.the(NAT)
    assert nat.inputs["subnetId"] == recording.of(SUBNET)["network-public-eu-west-1a"].id
    assert nat.inputs["allocationId"] == recording.the("aws:ec2/eip:Eip").id
    assert routes_of(recording, "private")["0.0.0.0/0"]["natGatewayId"] == nat.id
    assert recording.the("aws:ec2/internetGateway:InternetGateway").urn in nat.depends_on
    assert list(recording.of(ENDPOINT)) == ["network-s3"]


def test_endpoints_stand_in_for_a_nat_gateway() -> None:
    recording = made("endpoints")
    assert recording.of(NAT) == {}
    assert recording.of("aws:ec2/eip:Eip") == {}
    assert routes_of(recording, "private") == {}
    interfaces = {
        name: endpoint.inputs
        for name, endpoint in recording.of(ENDPOINT).items()
        if endpoint.inputs["vpcEndpointType"] == "Interface"
    }
    assert {inputs["serviceName"].rpartition(".")[2] for inputs in interfaces.values()} == {
        *("ssm", "ssmmessages", "ec2messages", "autoscaling", "sts")
    }
    first = recording.of(SUBNET)["network-private-eu-west-1a"].id
    group = recording.the("aws:ec2/securityGroup:SecurityGroup").id
    for inputs in interfaces.values():
        assert inputs["privateDnsEnabled"] is True
        assert inputs["subnetIds"] == [first], "each zone costs"
        assert inputs["securityGroupIds"] == [group]


def test_endpoints_take_https_from_the_vpc_and_nothing_else() -> None:
    recording = made("endpoints")
    rule = recording.the("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert (rule["cidrIpv4"], rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == (
        *("10.40.0.0/16", "tcp"),
        *(443, 443),
    )
    assert recording.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule") == {}


@EGRESS
def test_flow_logs_are_there_only_when_asked_for(egress: str) -> None:
    kinds = {one.type for one in made(egress).resources}
    assert not {kind for kind in kinds if "flowLog" in kind or "iam" in kind or "cloudwatch" in kind}


def test_flow_logs_go_to_a_group_that_forgets() -> None:
    recording = made(flow_logs=True)
    group = recording.the("aws:cloudwatch/logGroup:LogGroup")
    log = recording.the("aws:ec2/flowLog:FlowLog")
    assert group.inputs["retentionInDays"] == 14
    assert log.inputs["vpcId"] == recording.the("aws:ec2/vpc:Vpc").id
    assert (log.inputs["trafficType"], log.inputs["logDestination"]) == ("ALL", group.outputs["arn"])
    assert log.inputs["iamRoleArn"] == recording.the("aws:iam/role:Role").outputs["arn"]


def test_only_flow_logs_of_this_account_take_the_role_and_they_write_to_one_group() -> None:
    recording = made(flow_logs=True)
    (trust,) = json.loads(recording.the("aws:iam/role:Role").inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    arn = recording.the("aws:cloudwatch/logGroup:LogGroup").outputs["arn"]
    policy = json.loads(recording.the("aws:iam/rolePolicy:RolePolicy").inputs["policy"])
    writing, listing = policy["Statement"]
    assert writing["Resource"] == [arn, f"{arn}:*"]
    assert listing == {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"}


def test_a_zone_more_leaves_every_other_resource_as_it_was() -> None:
    before = {one.urn: one.inputs for one in made(zones=2).resources}
    after = {one.urn: one.inputs for one in made(zones=3).resources}
    assert {urn: after[urn] for urn in before} == before
    assert {urn.rpartition("::")[2] for urn in set(after) - set(before)} == {
        *("network-public-eu-west-1c", "network-private-eu-west-1c")
    }


@EGRESS
def test_everything_is_the_components_and_says_whose_it_is(egress: str) -> None:
    recording = made(egress, flow_logs=True)
    component = recording.the("caffe-spark:aws:Network").urn
    assert {one.parent for one in recording.aws} == {component}
    for one in recording.aws:
        if "tags" in one.inputs:
            assert one.inputs["tags"]["Name"].startswith("caffe-spark-test-"), one.name

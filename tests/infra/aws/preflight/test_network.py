"""Preflight of a network that the company gives: what machines need of it, and how to ask for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.aws.preflight import names, network
from infra.aws.preflight.capacity import checks as capacity
from infra.aws.preflight.cloud import Cloud
from infra.aws.settings.config import AwsConfig
from infra.preflight.finding import Finding
from infra.tags import cloud_tags
from tests.infra.aws.given import Network, given_network
from tests.infra.aws.preflight.conftest import REGION, STACK, Account, answers

SERVICE = f"com.amazonaws.{REGION}"


@dataclass
class Company:
    """A network of the company in moto; by default with all that a stack needs."""

    ec2: Any
    ids: Network
    tables: dict[str, str] = field(default_factory=dict)
    """Subnet → its route table."""
    associations: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)

    def leads_out(self, subnet: str, way: str | None) -> None:
        """Give the subnet a route table of its own, with a default route by `internet` or `nat`."""
        table = self.ec2.create_route_table(VpcId=self.ids.vpc)["RouteTable"]["RouteTableId"]
        if subnet in self.associations:
            self.ec2.disassociate_route_table(AssociationId=self.associations[subnet])
        made = self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        self.associations[subnet], self.tables[subnet] = made["AssociationId"], table
        if way:
            self.ec2.create_route(
                RouteTableId=table,
                DestinationCidrBlock="0.0.0.0/0",
                **{{"internet": "GatewayId", "nat": "NatGatewayId"}[way]: self._target(way)},
            )

    def _target(self, way: str) -> str:
        if way not in self.targets:
            if way == "internet":
                made = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
                self.ec2.attach_internet_gateway(InternetGatewayId=made, VpcId=self.ids.vpc)
            else:
                made = self.ec2.create_nat_gateway(SubnetId=self.ids.head, ConnectivityType="private")[
                    "NatGateway"
                ]["NatGatewayId"]
            self.targets[way] = made
        return self.targets[way]

    def endpoint(self, service: str, **options: Any) -> str:
        if service == "s3":
            tables = sorted(set(self.tables.values()))
            options = {"VpcEndpointType": "Gateway", "RouteTableIds": tables, **options}
        else:
            options = {
                "VpcEndpointType": "Interface",
                "SubnetIds": [self.ids.workers[0]],
                "PrivateDnsEnabled": True,
                **options,
            }
        made = self.ec2.create_vpc_endpoint(VpcId=self.ids.vpc, ServiceName=f"{SERVICE}.{service}", **options)
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def dns(self, *, support: bool = True, hostnames: bool = True) -> None:
        self.ec2.modify_vpc_attribute(VpcId=self.ids.vpc, EnableDnsSupport={"Value": support})
        self.ec2.modify_vpc_attribute(VpcId=self.ids.vpc, EnableDnsHostnames={"Value": hostnames})


@pytest.fixture
def bare(account: Account) -> Company:
    """Subnets without any way out."""
    return Company(account.client("ec2"), given_network())


@pytest.fixture
def company(bare: Company) -> Company:
    """A public subnet for nobody, private ones behind a NAT gateway, S3 by its endpoint, names."""
    for subnet in (bare.ids.head, *bare.ids.workers):
        bare.leads_out(subnet, "nat")
    bare.endpoint("s3")
    bare.dns()
    return bare


def found(config: AwsConfig, cloud: Cloud) -> dict[str, Finding]:
    return answers([*network.checks(config, STACK), *names.checks(config, STACK)], cloud)


def failed(config: AwsConfig, cloud: Cloud, name: str, *words: str, verdict: str = "failed") -> None:
    finding = found(config, cloud)[name]
    assert finding.verdict == verdict, finding
    for word in words:
        assert word in f"{finding.detail} {finding.fix}", finding


def test_a_network_with_all_that_is_needed_passes_with_a_line_for_each(
    company: Company, cloud: Cloud
) -> None:
    findings = found(company.ids.config(), cloud)
    assert {name: one.verdict for name, one in findings.items()} == dict.fromkeys(
        (
            *("network: vpc", "network: zones", "network: room", "network: head", "network: workers"),
            *("network: S3", "network: DNS"),
        ),
        "passed",
    )
    assert (
        "the head is 10.1.0.10 in eu-west-1a, workers in eu-west-1b, eu-west-1c"
        in findings["network: vpc"].detail
    )
    assert company.targets["nat"] in findings["network: head"].detail


def test_in_the_stacks_own_network_there_is_nothing_to_check() -> None:
    config = AwsConfig.model_validate({"region": REGION})
    assert network.checks(config, STACK) + names.checks(config, STACK) == []


def test_a_subnet_of_another_vpc_fails_as_pulumi_up_would(company: Company, cloud: Cloud) -> None:
    other = given_network("10.9.0.0/16")
    config = company.ids.config(subnets={"head": other.head, "workers": company.ids.workers})
    failed(config, cloud, "network: vpc", f"it is of {other.vpc}, not of {company.ids.vpc}")


# Ways out


def test_a_head_without_a_default_route_fails(bare: Company, cloud: Cloud) -> None:
    bare.leads_out(bare.ids.head, None)
    table = bare.tables[bare.ids.head]
    failed(
        bare.ids.config(),
        cloud,
        "network: head",
        "no default route",
        f"create-route --route-table-id {table}",
    )


def test_a_subnet_without_a_table_of_its_own_has_the_main_one(bare: Company, cloud: Cloud) -> None:
    (main,) = bare.ec2.describe_route_tables(
        Filters=[
            {"Name": "vpc-id", "Values": [bare.ids.vpc]},
            {"Name": "association.main", "Values": ["true"]},
        ]
    )["RouteTables"]
    bare.ec2.create_route(
        RouteTableId=main["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=bare._target("nat")
    )
    assert found(bare.ids.config(), cloud)["network: head"].verdict == "passed"


def test_a_head_in_a_public_subnet_needs_a_public_address(company: Company, cloud: Cloud) -> None:
    company.leads_out(company.ids.head, "internet")
    failed(
        company.ids.config(),
        cloud,
        "network: head",
        company.targets["internet"],
        f"config set headPublicAddress true --stack {STACK}",
    )
    public = company.ids.config(headPublicAddress=True)
    assert found(public, cloud)["network: head"].verdict == "passed"


def test_a_public_address_is_of_no_use_behind_a_nat_gateway(company: Company, cloud: Cloud) -> None:
    config = company.ids.config(adminCidrs=["203.0.113.7"])
    failed(config, cloud, "network: head", "nothing would reach", "headPublicAddress false", "public subnet")


def test_workers_in_a_public_subnet_have_no_way_out(company: Company, cloud: Cloud) -> None:
    company.leads_out(company.ids.workers[1], "internet")
    failed(
        company.ids.config(),
        cloud,
        "network: workers",
        "subnets.workers[1]",
        "workers get none",
        "'subnets.workers[1]'",
    )


def test_workers_with_public_addresses_are_noted_since_each_is_billed(company: Company, cloud: Cloud) -> None:
    company.leads_out(company.ids.workers[1], "internet")
    company.ec2.modify_subnet_attribute(SubnetId=company.ids.workers[1], MapPublicIpOnLaunch={"Value": True})
    failed(
        company.ids.config(), cloud, "network: workers", "is billed and not in the estimate", verdict="note"
    )


@pytest.fixture
def closed(company: Company) -> Company:
    """Workers without a default route, S3 by its endpoint."""
    for subnet in company.ids.workers:
        company.leads_out(subnet, None)
    company.endpoint("s3")
    return company


def test_workers_without_a_default_route_need_the_proxy(closed: Company, cloud: Cloud) -> None:
    failed(closed.ids.config(), cloud, "network: workers", "no default route", "config set packageProxy true")


def test_workers_without_a_default_route_need_endpoints(closed: Company, cloud: Cloud) -> None:
    config = closed.ids.config(packageProxy=True)
    failed(config, cloud, "network: workers", "for autoscaling, sts", f"--service-name {SERVICE}.autoscaling")
    closed.endpoint("autoscaling", SecurityGroupIds=[closed.ids.groups[0]])
    failed(config, cloud, "network: workers", "for sts", f"--service-name {SERVICE}.sts --subnet-ids")


def test_endpoints_have_to_let_the_workers_in(closed: Company, cloud: Cloud) -> None:
    config = closed.ids.config(packageProxy=True)
    group = closed.ids.groups[0]
    for service in ("autoscaling", "sts"):
        closed.endpoint(service, SecurityGroupIds=[group])
    failed(
        config,
        cloud,
        "network: workers",
        "do not let TCP 443 in",
        f"--group-id {group}",
        "--cidr 10.1.1.0/24",
    )
    closed.ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=443, ToPort=443, CidrIp="10.1.0.0/16"
    )
    assert found(config, cloud)["network: workers"].verdict == "passed"


def test_workers_that_send_logs_need_another_endpoint(closed: Company, cloud: Cloud) -> None:
    group = closed.ids.groups[0]
    closed.ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=443, ToPort=443, CidrIp="10.1.0.0/16"
    )
    for service in ("autoscaling", "sts"):
        closed.endpoint(service, SecurityGroupIds=[group])
    config = closed.ids.config(packageProxy=True, cloudLogs=True)
    failed(config, cloud, "network: workers", "for logs", f"--service-name {SERVICE}.logs --subnet-ids")
    closed.endpoint("logs", SecurityGroupIds=[group])
    passed = found(config, cloud)["network: workers"]
    assert (passed.verdict, passed.detail) == (
        "passed",
        "reach autoscaling, sts, logs by endpoints, packages through the head",
    )


# S3


def test_without_an_endpoint_of_s3_the_way_out_is_paid(company: Company, cloud: Cloud) -> None:
    company.leads_out(company.ids.workers[0], "nat")
    table = company.tables[company.ids.workers[0]]
    failed(
        *(company.ids.config(), cloud, "network: S3"),
        *(f"{table} of {company.ids.workers[0]}", "modify-vpc-endpoint", f"--add-route-table-ids {table}"),
        verdict="note",
    )


def test_without_a_way_out_an_endpoint_of_s3_is_needed(bare: Company, cloud: Cloud) -> None:
    for subnet in (bare.ids.head, *bare.ids.workers):
        bare.leads_out(subnet, None)
    failed(bare.ids.config(), cloud, "network: S3", "cannot be reached", f"--service-name {SERVICE}.s3")


def test_an_interface_endpoint_of_s3_with_private_names_serves_every_subnet(
    bare: Company, cloud: Cloud
) -> None:
    bare.endpoint("s3", VpcEndpointType="Interface", PrivateDnsEnabled=True, RouteTableIds=[])
    assert found(bare.ids.config(), cloud)["network: S3"].verdict == "passed"


OPEN = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


@pytest.mark.parametrize(
    "statements",
    [
        [{**OPEN, "Action": "s3:Get*"}],
        [{**OPEN, "Resource": "arn:aws:s3:::company*"}],
        [{**OPEN, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}],
        [OPEN, {**OPEN, "Effect": "Deny", "Action": "s3:PutObject"}],
    ],
    ids=["actions", "buckets", "condition", "denial"],
)
def test_an_endpoints_own_policy_is_said(
    company: Company, cloud: Cloud, account: Account, statements: list[dict[str, Any]]
) -> None:
    one = {
        "VpcEndpointId": "vpce-1",
        "ServiceName": f"{SERVICE}.s3",
        "VpcEndpointType": "Gateway",
        "State": "available",
        "RouteTableIds": list(company.tables.values()),
    }
    policy = {"Statement": statements}
    account.answers["DescribeVpcEndpoints"] = lambda _: {
        "VpcEndpoints": [{**one, "PolicyDocument": json.dumps(policy)}]
    }
    failed(company.ids.config(), cloud, "network: S3", "vpce-1", "caffe-spark-test-*", verdict="note")


def test_an_endpoint_that_is_being_deleted_is_none(company: Company, cloud: Cloud, account: Account) -> None:
    real = company.ec2.describe_vpc_endpoints()["VpcEndpoints"]
    account.answers["DescribeVpcEndpoints"] = lambda _: {
        "VpcEndpoints": [{**one, "State": "deleting"} for one in real]
    }
    failed(company.ids.config(), cloud, "network: S3", "create-vpc-endpoint", verdict="note")


# Zones and room


def test_a_zone_that_offers_no_type_of_the_stack_is_named_by_its_subnet(
    company: Company, cloud: Cloud, account: Account
) -> None:
    def offers(asked: dict[str, Any]) -> dict[str, Any]:
        types = asked["Filters"][0]["Values"]
        pairs = [(name, zone) for name in types for zone in (f"{REGION}a", f"{REGION}b")]
        return {"InstanceTypeOfferings": [{"InstanceType": name, "Location": zone} for name, zone in pairs]}

    account.answers["DescribeInstanceTypeOfferings"] = offers
    failed(
        *(company.ids.config(), cloud, "network: zones"),
        *(
            f"{REGION}c, where {company.ids.workers[1]} (subnets.workers[1]) is",
            "rm --path 'subnets.workers[1]'",
        ),
    )


def test_a_zone_that_does_not_offer_the_heads_type_is_named(
    company: Company, cloud: Cloud, account: Account
) -> None:
    account.answers["DescribeInstanceTypeOfferings"] = lambda _: {"InstanceTypeOfferings": []}
    failed(company.ids.config(), cloud, "network: zones", "does not offer m6i.xlarge (headType)")


def test_subnets_have_room_for_the_largest_group(company: Company, cloud: Cloud) -> None:
    assert found(company.ids.config(), cloud)["network: room"].verdict == "passed"
    small = {"head": company.ids.head, "workers": company.ids.workers[:1]}
    failed(
        *(company.ids.config(maxWorkers=400, workers=200, subnets=small), cloud, "network: room"),
        *("free addresses, and maxWorkers is 400", "--plaintext maxWorkers="),
    )


def test_the_stacks_own_workers_are_part_of_the_room(company: Company, cloud: Cloud) -> None:
    one = company.ids.workers[0]
    small = {"head": company.ids.head, "workers": [one]}
    config = company.ids.config(maxWorkers=251, workers=200, subnets=small)
    assert found(config, cloud)["network: room"].verdict == "passed"
    company.ec2.create_network_interface(SubnetId=one)
    failed(config, cloud, "network: room", "have 250 free addresses", "maxWorkers=250")
    ours = [{"Key": key, "Value": value} for key, value in cloud_tags(STACK).items()]
    made = company.ec2.describe_network_interfaces(Filters=[{"Name": "subnet-id", "Values": [one]}])
    company.ec2.create_tags(Resources=[made["NetworkInterfaces"][0]["NetworkInterfaceId"]], Tags=ours)
    assert found(config, cloud)["network: room"].verdict == "passed"


def test_a_route_to_a_gateway_that_is_gone_is_none(company: Company, cloud: Cloud, account: Account) -> None:
    head = company.ids.head
    route = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "blackhole"}
    table = {"RouteTableId": "rtb-1", "Routes": [route], "Associations": [{"SubnetId": head}]}
    account.answers["DescribeRouteTables"] = lambda _: {"RouteTables": [table]}
    failed(company.ids.config(), cloud, "network: head", "no default route")


# Names


def test_a_vpc_without_a_resolver_fails(company: Company, cloud: Cloud) -> None:
    company.dns(support=False)
    failed(company.ids.config(), cloud, "network: DNS", "enableDnsSupport", "--enable-dns-support")


def test_dns_hostnames_are_needed_where_endpoints_are(company: Company, cloud: Cloud) -> None:
    company.dns(hostnames=False)
    words = ("enableDnsHostnames", "--enable-dns-hostnames")
    failed(company.ids.config(), cloud, "network: DNS", *words, verdict="note")
    failed(company.ids.config(packageProxy=True), cloud, "network: DNS", *words)


def test_a_dns_server_of_the_company_has_to_be_reached(company: Company, cloud: Cloud) -> None:
    options = company.ec2.create_dhcp_options(
        DhcpConfigurations=[{"Key": "domain-name-servers", "Values": ["10.200.0.2"]}]
    )["DhcpOptions"]["DhcpOptionsId"]
    company.ec2.associate_dhcp_options(DhcpOptionsId=options, VpcId=company.ids.vpc)
    failed(
        company.ids.config(),
        cloud,
        "network: DNS",
        "10.200.0.2",
        "lets port 53 out",
        "securityGroups.additional",
    )
    head, workers = company.ids.groups
    groups = {"head": [head], "workers": [workers], "additional": True}
    config = company.ids.config(securityGroups=groups)
    # AWS's default rules of a group let everything out.
    assert found(config, cloud)["network: DNS"].verdict == "passed"
    company.dns(support=False)
    assert found(config, cloud)["network: DNS"].verdict == "passed", "the VPC's own resolver is not asked"
    company.ec2.revoke_security_group_egress(
        GroupId=workers, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    failed(config, cloud, "network: DNS", "lets port 53 out")


# The rest of preflight


def test_prices_are_those_of_the_subnets_zones(company: Company, cloud: Cloud, account: Account) -> None:
    asked: list[str] = []

    def history(request: dict[str, Any]) -> dict[str, Any]:
        asked.extend(request["Filters"][0]["Values"])
        return {"SpotPriceHistory": []}

    account.answers["DescribeSpotPriceHistory"] = history
    findings = answers(capacity(company.ids.config(), STACK), cloud)
    assert list(findings) == ["spot prices"]
    assert asked == [f"{REGION}b", f"{REGION}c"]


def test_what_may_not_be_described_is_skipped(company: Company, cloud: Cloud, account: Account) -> None:
    account.denies("DescribeRouteTables", "DescribeVpcEndpoints", "DescribeVpcAttribute")
    findings = found(company.ids.config(), cloud)
    skipped = ("network: head", "network: workers", "network: S3", "network: DNS")
    assert {findings[name].verdict for name in skipped} == {"skipped"}
    assert findings["network: vpc"].verdict == "passed"

"""Check that names resolve in a network that the company gives."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import aws
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.reach import Allowed, allowed_of, lets
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

NAME: Final = "network: DNS"
DNS: Final = (53, 53)
AMAZON: Final = ("AmazonProvidedDNS", "169.254.169.253")
"""The VPC's own resolver, which security groups do not filter:
https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html (read 2026-11)"""


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check; none in the stack's own network."""
    return [CloudCheck(NAME, lambda cloud: [_names(cloud, config, stack)])] if config.vpc else []


def _names(cloud: Cloud, config: AwsConfig, stack: str) -> Finding:
    vpc, ec2 = str(config.vpc), cloud.ec2
    with aws.translate_errors(f"looking at {vpc} (vpc)"):
        described = ec2.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Vpcs"]
        if not described:
            return Finding(NAME, "skipped", f"{cloud.region} has no {vpc}")
        support = ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsSupport")
        hostnames = ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")
        servers = _servers(cloud, described[0].get("DhcpOptionsId", ""))
        given = (
            sorted({*config.security_groups.head, *config.security_groups.workers})
            if config.security_groups
            else []
        )
        allowed = allowed_of(ec2, given) if given else []
    own = {*AMAZON, str(IPv4Network(described[0]["CidrBlock"])[2])}
    foreign = [one for one in servers if one not in own]
    turn_on = f"aws ec2 modify-vpc-attribute --vpc-id {vpc} --region {cloud.region}"
    if not support["EnableDnsSupport"].get("Value") and not foreign:
        return Finding(
            NAME,
            "failed",
            f"{vpc} has no resolver (enableDnsSupport)",
            f"Ask for it: `{turn_on} --enable-dns-support`.",
        )
    if foreign and not _reached(foreign, config, allowed):
        return Finding(
            NAME,
            "failed",
            f"machines of {vpc} ask {', '.join(foreign)} (its DHCP options), and none of their groups lets "
            "port 53 out",
            "Name a group that does, for head and workers: `pulumi config set --path "
            f"'securityGroups.head[0]' sg-… --stack {stack}`, with securityGroups.additional.",
        )
    if not hostnames["EnableDnsHostnames"].get("Value"):
        return Finding(
            NAME,
            # Private names of interface endpoints need it, on which workers without a way out depend.
            "failed" if config.package_proxy else "note",
            f"{vpc} has no DNS hostnames (enableDnsHostnames), and endpoints no private names",
            f"Ask for them: `{turn_on} --enable-dns-hostnames`.",
        )
    return Finding(NAME, "passed", f"by {', '.join(servers) or AMAZON[0]}")


def _servers(cloud: Cloud, options: str) -> list[str]:
    """Return the DNS servers of a set of DHCP options; none in the default set of some accounts."""
    if not options.startswith("dopt-"):
        return []
    found = cloud.ec2.describe_dhcp_options(Filters=[{"Name": "dhcp-options-id", "Values": [options]}])
    return [
        str(value.get("Value", ""))
        for one in found["DhcpOptions"]
        for entry in one.get("DhcpConfigurations", [])
        if entry.get("Key") == "domain-name-servers"
        for value in entry.get("Values", [])
    ]


def _reached(servers: Sequence[str], config: AwsConfig, allowed: Sequence[Allowed]) -> bool:
    groups = config.security_groups
    if groups is None:
        return False
    return all(
        lets(allowed, each, egress=True, ports=DNS, peers=[IPv4Network(IPv4Address(server))], protocol="udp")
        for server in servers
        for each in (groups.head, groups.workers)
    )

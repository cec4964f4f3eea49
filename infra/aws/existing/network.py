"""The company's network as AWS describes it, checked against the settings before anything is created."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, Final

from bootstrap.clouds import aws
from infra import tags
from infra.aws.network_plan import HEAD
from infra.aws.settings import placement
from infra.aws.settings.existing import EXAMPLE, Subnets
from infra.aws.site import Site
from infra.settings.commands import set_command
from infra.settings.refusal import Refusal, listed

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import NetworkInterfaceTypeDef

    from infra.aws.settings.config import AwsConfig

FIRST: Final = 4
"""Index of a subnet's first address that is not AWS's own; the last address is its own as well.
https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html"""


@dataclass(frozen=True)
class Subnet:
    """A subnet as in DescribeSubnets."""

    id: str
    vpc: str
    zone: str
    cidr: IPv4Network
    free: int
    """Number of addresses that nothing has."""
    public: bool = False
    """Each instance gets a public address."""


def site(ec2: EC2Client, config: AwsConfig, subnets: Subnets, stack: str) -> Site:
    """Return the site in the given network.

    Raises:
        ConfigError: the VPC, a subnet or a security group does not exist or is of another VPC; or the head's
            address is not free. The error names the setting.
        ServiceDown: AWS does not answer.
    """
    try:
        with aws.translate_errors(f"looking at {config.vpc} (vpc)"):
            return _site(ec2, config, subnets, stack)
    except Refusal as refusal:
        raise refusal.error(stack) from None


def described(ec2: EC2Client, subnets: Subnets) -> dict[str, Subnet]:
    """Return the given subnets that exist, by id."""
    ids = list(dict.fromkeys((subnets.head, *subnets.workers)))
    found = ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": ids}])["Subnets"]
    return {
        one["SubnetId"]: Subnet(
            one["SubnetId"],
            one["VpcId"],
            one["AvailabilityZone"],
            IPv4Network(one["CidrBlock"]),
            one["AvailableIpAddressCount"],
            one.get("MapPublicIpOnLaunch", False),
        )
        for one in found
    }


def worker_zones(ec2: EC2Client, config: AwsConfig) -> Sequence[str]:
    """Return the zones of the workers: the configured ones, or those of the given subnets."""
    if config.subnets is None:
        return config.zones
    with aws.translate_errors("looking at the subnets"):
        found = described(ec2, config.subnets)
    return sorted({found[one].zone for one in config.subnets.workers if one in found})


def _site(ec2: EC2Client, config: AwsConfig, subnets: Subnets, stack: str) -> Site:
    _vpc(ec2, config)
    found = described(ec2, subnets)
    named = {"subnets.head": subnets.head}
    named |= {f"subnets.workers[{place}]": one for place, one in enumerate(subnets.workers)}
    _belong(named, {one.id: one.vpc for one in found.values()}, config, f"subnet-{EXAMPLE}")
    _groups(ec2, config)
    head = found[subnets.head]
    address = _address(ec2, config, head, stack)
    zones = dict.fromkeys(found[one].zone for one in subnets.workers)
    placement.one_zone(config, tuple(zones))
    return Site(head.zone, tuple(zones), str(address))


def _vpc(ec2: EC2Client, config: AwsConfig) -> None:
    vpc = str(config.vpc)
    if ec2.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Vpcs"]:
        return
    others = sorted(one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"])
    valid = f"valid: {listed(others[:10])}" if others else "the region has none"
    why = f"{config.region} of this account has no such VPC; {valid}"
    raise Refusal("vpc", vpc, why, set_command("vpc", others[0] if others else f"vpc-{EXAMPLE}"))


def _groups(ec2: EC2Client, config: AwsConfig) -> None:
    groups = config.security_groups
    if groups is None:
        return
    named = {f"securityGroups.head[{place}]": one for place, one in enumerate(groups.head)}
    named |= {f"securityGroups.workers[{place}]": one for place, one in enumerate(groups.workers)}
    ids = list(dict.fromkeys(named.values()))
    found = ec2.describe_security_groups(Filters=[{"Name": "group-id", "Values": ids}])["SecurityGroups"]
    _belong(named, {one["GroupId"]: one.get("VpcId", "") for one in found}, config, f"sg-{EXAMPLE}")


def _belong(named: Mapping[str, str], vpcs: Mapping[str, str], config: AwsConfig, example: str) -> None:
    """Refuse the first thing that does not exist, or is of another VPC."""
    for key, one in named.items():
        if one not in vpcs:
            why = f"{config.region} of this account has nothing of that id; valid: one of {config.vpc} (vpc)"
        elif vpcs[one] != config.vpc:
            why = f"it is of {vpcs[one]}, not of {config.vpc} (vpc); valid: one of {config.vpc}"
        else:
            continue
        raise Refusal(key, one, why, set_command(key, example))


def _address(ec2: EC2Client, config: AwsConfig, head: Subnet, stack: str) -> IPv4Address:
    """Return the head's address, unless AWS or another machine has it."""
    wanted = config.head_address or head.cidr[HEAD]
    last = head.cidr.num_addresses - 1
    if wanted not in head.cidr or not FIRST <= int(wanted) - int(head.cidr.network_address) < last:
        why = (
            f"{head.id} (subnets.head) is {head.cidr}, whose first four addresses and the last are AWS's; "
            f"valid: {head.cidr[FIRST]} to {head.cidr[last - 1]}"
        )
        raise Refusal("headAddress", wanted, why, set_command("headAddress", head.cidr[HEAD]))
    taken = _taken(ec2, head)
    if wanted not in taken or _is_our_head(ec2, taken[wanted], stack):
        return wanted
    free = next((one for one in list(head.cidr)[FIRST:-1] if one not in taken), None)
    if free is None:
        why = f"{head.cidr} has no free address; valid: another subnet"
        raise Refusal("subnets.head", head.id, why, set_command("subnets.head", f"subnet-{EXAMPLE}"))
    why = f"{taken[wanted].get('NetworkInterfaceId')} in {head.id} (subnets.head) has it; valid: a free one"
    raise Refusal("headAddress", wanted, why, set_command("headAddress", free))


def _taken(ec2: EC2Client, subnet: Subnet) -> dict[IPv4Address, NetworkInterfaceTypeDef]:
    """Return the addresses of a subnet that interfaces have, those of their prefixes included."""
    found: dict[IPv4Address, NetworkInterfaceTypeDef] = {}
    pages = ec2.get_paginator("describe_network_interfaces").paginate(
        Filters=[{"Name": "subnet-id", "Values": [subnet.id]}]
    )
    for page in pages:
        for one in page["NetworkInterfaces"]:
            for own in (one, *_listed(one, "PrivateIpAddresses")):
                if address := own.get("PrivateIpAddress"):
                    found[IPv4Address(str(address))] = one
            for prefix in _listed(one, "Ipv4Prefixes"):
                found |= dict.fromkeys(IPv4Network(prefix["Ipv4Prefix"]), one)
    return found


def _listed(one: NetworkInterfaceTypeDef, key: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = one.get(key) or ()  # type: ignore[assignment]
    return found


def _is_our_head(ec2: EC2Client, interface: NetworkInterfaceTypeDef, stack: str) -> bool:
    instance = interface.get("Attachment", {}).get("InstanceId")
    if not instance:
        return False
    found = ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": [instance]}])["Reservations"]
    wanted = {**tags.cloud_tags(stack), "Role": tags.HEAD}
    instances = [one for each in found for one in each["Instances"]]
    return any(tags.is_ours(_tags(one.get("Tags", ())), wanted) for one in instances)


def _tags(found: Collection[Mapping[str, Any]]) -> dict[str, str]:
    return {str(one.get("Key")): str(one.get("Value", "")) for one in found}

"""Connections that security groups of the company let through."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import SecurityGroupRuleTypeDef

ALL: Final = "-1"
"""Every protocol and port."""
LAST_PORT: Final = 65535
EVERY_PORT: Final = (0, LAST_PORT)
AT_ONCE: Final = 200
"""Values that a filter takes."""


@dataclass(frozen=True)
class Allowed:
    """A rule as in DescribeSecurityGroupRules; `peer` is a range, a group's id, or a prefix list's."""

    group: str
    egress: bool
    protocol: str
    ports: tuple[int, int]
    peer: IPv4Network | str


def allowed_of(ec2: EC2Client, groups: Sequence[str]) -> list[Allowed]:
    """Return the rules of these groups; IPv6 ones are left out."""
    pages = ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=[{"Name": "group-id", "Values": list(groups)[:AT_ONCE]}]
    )
    return [rule for page in pages for one in page["SecurityGroupRules"] if (rule := _allowed(one))]


def lets(
    rules: Sequence[Allowed],
    groups: Collection[str],
    *,
    egress: bool,
    ports: tuple[int, int],
    peers: Sequence[IPv4Network | str],
    protocol: str = "tcp",
) -> bool:
    """Return whether the groups let all `ports` through, to or from one of the peers' groups or all of their
    ranges. Pure."""
    ranges = [peer for peer in peers if isinstance(peer, IPv4Network)]
    mine = [rule for rule in rules if rule.group in groups and rule.egress == egress]
    fitting = [rule for rule in mine if rule.protocol in (ALL, protocol)]
    by_group = [rule.ports for rule in fitting if isinstance(rule.peer, str) and rule.peer in peers]
    if covered(ports, by_group):
        return True
    return bool(ranges) and all(
        covered(
            ports,
            by_group
            + [
                rule.ports
                for rule in fitting
                if isinstance(rule.peer, IPv4Network) and one.subnet_of(rule.peer)
            ],
        )
        for one in ranges
    )


def covered(ports: tuple[int, int], ranges: Sequence[tuple[int, int]]) -> bool:
    """Return whether the ranges together contain all ports. Pure."""
    following, last = ports
    for low, high in sorted(ranges):
        if low <= following:
            following = max(following, high + 1)
    return following > last


def _allowed(one: SecurityGroupRuleTypeDef) -> Allowed | None:
    peer: IPv4Network | str = (
        one.get("ReferencedGroupInfo", {}).get("GroupId") or one.get("PrefixListId") or ""
    )
    if cidr := one.get("CidrIpv4"):
        peer = IPv4Network(cidr)
    if not peer:
        return None
    protocol = one.get("IpProtocol", ALL)
    ports = (one.get("FromPort", 0), one.get("ToPort", LAST_PORT))
    return Allowed(
        one.get("GroupId", ""),
        one.get("IsEgress", False),
        protocol,
        EVERY_PORT if protocol == ALL or -1 in ports else ports,
        peer,
    )

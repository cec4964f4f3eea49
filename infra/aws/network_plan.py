"""Address plan of a VPC: CIDR arithmetic. Pure.

A range is cut into eighths. A zone's private subnet is an eighth; its public one, for a head and a NAT
gateway, is an eighth of the last eighth. A zone's subnets thus depend only on its place in the list, and
appending a zone changes no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

LARGEST: Final = 16
"""Prefix length of the largest range: AWS allows no larger VPC."""
SMALLEST: Final = 22
"""Prefix length of the smallest range: below, a public subnet would be smaller than AWS's minimum, a /28.
https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html"""
MAX_ZONES: Final = 7
ENDPOINTS: Final = ("ssm", "ssmmessages", "ec2messages", "autoscaling", "sts")
"""Interface endpoints that replace a NAT gateway; each takes an address of the first private subnet."""
LOGS: Final = "logs"
"""Another one, of CloudWatch Logs."""
RESERVED: Final = 5
"""Addresses that AWS reserves in every subnet: the first four and the last."""
HEAD: Final = 10
"""Index of the head's address in the public subnet of the first zone."""
_CUT: Final = 3


@dataclass(frozen=True)
class SubnetPlan:
    """The two subnets of a zone."""

    zone: str
    public: IPv4Network
    private: IPv4Network


@dataclass(frozen=True)
class NetworkPlan:
    """A VPC's range and its subnets, in the order of the zones."""

    cidr: IPv4Network
    subnets: tuple[SubnetPlan, ...]

    @property
    def head_address(self) -> IPv4Address:
        """Fixed private address of the head."""
        return self.subnets[0].public[HEAD]

    @property
    def capacity(self) -> int:
        """Number of instances that the private subnets hold together."""
        return sum(subnet.private.num_addresses - RESERVED for subnet in self.subnets)


def endpoints(*, logs: bool) -> tuple[str, ...]:
    """Return the services of the interface endpoints; with `logs`, machines send theirs to CloudWatch."""
    return (*ENDPOINTS, LOGS) if logs else ENDPOINTS


def plan(cidr: IPv4Network, zones: Sequence[str]) -> NetworkPlan:
    """Plan the subnets of `zones` in the range `cidr`.

    Raises:
        ValueError: the range is too small or too large, or the number of zones is not between 1 and
            `MAX_ZONES`.
    """
    if not LARGEST <= cidr.prefixlen <= SMALLEST:
        raise ValueError(f"{cidr}: prefix /{LARGEST} to /{SMALLEST} can be planned")
    if not 1 <= len(zones) <= MAX_ZONES:
        raise ValueError(f"{len(zones)} zones: 1 to {MAX_ZONES} can be planned")
    *private, last = cidr.subnets(prefixlen_diff=_CUT)
    public = last.subnets(prefixlen_diff=_CUT)
    # Both lists may be longer than the list of zones: later zones take the rest.
    triples = zip(zones, public, private, strict=False)
    return NetworkPlan(cidr, tuple(SubnetPlan(*triple) for triple in triples))

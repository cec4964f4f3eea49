"""Address plan of the virtual network: machines in its first half, private endpoints at its end. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

LARGEST: Final = 16
SMALLEST: Final = 25
RESERVED: Final = 5
"""Addresses that Azure reserves in each subnet:
https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq"""
BESIDE_WORKERS: Final = 16
"""Two heads, three ZooKeepers, two gateways, load balancers, Private Link, and replacements in progress."""
ENDPOINTS_PREFIX: Final = 28


@dataclass(frozen=True)
class NetworkPlan:
    """Subnet ranges, and the number of workers that the machines' subnet holds."""

    cidr: IPv4Network
    nodes: IPv4Network
    endpoints: IPv4Network
    capacity: int


def plan(cidr: IPv4Network) -> NetworkPlan:
    """Plan the subnets of a range between /16 and /25."""
    first, second = cidr.subnets(prefixlen_diff=1)
    endpoints = IPv4Network(second.broadcast_address).supernet(new_prefix=ENDPOINTS_PREFIX)
    return NetworkPlan(cidr, first, endpoints, capacity=first.num_addresses - RESERVED - BESIDE_WORKERS)

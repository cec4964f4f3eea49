"""CIDR arithmetic of the VPC."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

import pytest

from infra.aws.network_plan import MAX_ZONES, plan

CIDR = IPv4Network("10.40.0.0/16")
ZONES = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
SIZES = pytest.mark.parametrize("prefix", range(16, 23))


def test_each_zone_has_a_large_private_and_a_small_public_subnet() -> None:
    first, second, third = plan(CIDR, ZONES).subnets
    assert (first.zone, str(first.private), str(first.public)) == (
        "eu-west-1a",
        "10.40.0.0/19",
        "10.40.224.0/22",
    )
    assert (second.zone, str(second.private), str(second.public)) == (
        "eu-west-1b",
        "10.40.32.0/19",
        "10.40.228.0/22",
    )
    assert third.zone == "eu-west-1c"


@SIZES
@pytest.mark.parametrize("count", range(1, MAX_ZONES + 1))
def test_subnets_lie_within_the_range_and_apart(prefix: int, count: int) -> None:
    cidr = IPv4Network(f"10.40.0.0/{prefix}")
    planned = plan(cidr, [f"zone-{number}" for number in range(count)])
    networks = [network for subnet in planned.subnets for network in (subnet.public, subnet.private)]
    assert len(networks) == 2 * count
    assert all(network.subnet_of(cidr) for network in networks)
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))


@SIZES
def test_one_zone_more_at_the_end_moves_no_other(prefix: int) -> None:
    cidr = IPv4Network(f"10.40.0.0/{prefix}")
    for count in range(1, len(ZONES)):
        assert plan(cidr, ZONES[: count + 1]).subnets[:count] == plan(cidr, ZONES[:count]).subnets


@SIZES
def test_the_head_has_an_address_that_aws_does_not_keep_for_itself(prefix: int) -> None:
    planned = plan(IPv4Network(f"10.40.0.0/{prefix}"), ZONES)
    public = planned.subnets[0].public
    assert planned.head_address in list(public)[4:-1]
    assert public.prefixlen <= 28


def test_the_heads_address_does_not_depend_on_the_other_zones() -> None:
    assert plan(CIDR, ZONES).head_address == plan(CIDR, ZONES[:1]).head_address == IPv4Address("10.40.224.10")


def test_room_leaves_out_the_five_addresses_that_aws_keeps_in_each_subnet() -> None:
    assert plan(IPv4Network("10.40.0.0/22"), ZONES[:1]).capacity == 128 - 5
    assert plan(IPv4Network("10.40.0.0/22"), ZONES).capacity == 3 * (128 - 5)


@pytest.mark.parametrize(
    ("cidr", "zones", "words"),
    [
        ("10.40.0.0/23", ZONES, "/16 to /22"),
        ("10.0.0.0/15", ZONES, "/16 to /22"),
        ("10.40.0.0/16", [], "0 zones"),
        ("10.40.0.0/16", [f"zone-{number}" for number in range(8)], "8 zones: 1 to 7"),
    ],
)
def test_what_cannot_be_planned_is_refused(cidr: str, zones: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan(IPv4Network(cidr), zones)

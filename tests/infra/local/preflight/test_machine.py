"""Requirements on the machine: subnets and routes."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from bootstrap.errors import ConfigError
from infra import tags
from infra.local.engine_output import Network
from infra.local.preflight.machine import check_subnet, routes

OURS = tags.labels("dev", "/here")
SUBNET = IPv4Network("10.89.77.0/24")
TABLE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
podman3\t0001520A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


def test_routes_are_read_without_the_default_one(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(TABLE)
    assert routes(tmp_path / "route") == [
        ("podman3", IPv4Network("10.82.1.0/24")),
        ("eth0", IPv4Network("192.0.2.0/24")),
    ]


def test_a_free_subnet_is_taken() -> None:
    other = Network("other", (IPv4Network("10.88.0.0/16"),))
    check_subnet(SUBNET, "dev", OURS, [other], [("eth0", IPv4Network("192.0.2.0/24"))])


def test_the_stacks_own_network_and_bridge_are_not_in_the_way() -> None:
    own = Network("caffe-spark-dev", (SUBNET,), "podman5", OURS)
    check_subnet(SUBNET, "dev", OURS, [own], [("podman5", SUBNET)])


def test_the_same_stack_of_another_clone_is_in_the_way() -> None:
    theirs = Network("caffe-spark-dev", (SUBNET,), "podman5", tags.labels("dev", "/elsewhere"))
    with pytest.raises(ConfigError, match=r"the network caffe-spark-dev uses 10\.89\.77\.0/24"):
        check_subnet(SUBNET, "dev", OURS, [theirs], [])


def test_a_route_in_the_way_is_named_and_a_free_subnet_offered() -> None:
    taken = [("vpn0", IPv4Network("10.0.0.0/8")), ("eth0", IPv4Network("192.168.77.0/24"))]
    with pytest.raises(ConfigError) as caught:
        check_subnet(SUBNET, "dev", OURS, [], taken)
    assert "a route through vpn0 uses 10.0.0.0/8" in str(caught.value)
    assert "pulumi config set subnet 192.168.78.0/24 --stack dev" in str(caught.value)

"""Preflight of the company's security groups: what of the cluster's traffic they let through."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from infra.aws.preflight import firewall
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.reach import Allowed, covered, lets
from infra.aws.security import Rule, rules
from infra.preflight.finding import Finding
from tests.infra.aws.given import Network, given_network
from tests.infra.aws.preflight.conftest import REGION, STACK, Account, answers

TEN = IPv4Network("10.0.0.0/8")
SUBNET = IPv4Network("10.1.2.0/24")


def rule(**changes: Any) -> Allowed:
    return Allowed(
        **{"group": "sg-1", "egress": False, "protocol": "tcp", "ports": (22, 22), "peer": "sg-2", **changes}
    )


@pytest.mark.parametrize(
    ("ports", "ranges", "expected"),
    [
        ((22, 22), [(22, 22)], True),
        ((22, 22), [], False),
        ((1, 10), [(1, 5), (6, 10)], True),
        ((1, 10), [(6, 10), (1, 5)], True),
        ((1, 10), [(1, 4), (6, 10)], False),
        ((1, 10), [(0, 65535)], True),
        ((1, 10), [(2, 10)], False),
        ((1, 10), [(1, 3), (2, 8), (5, 20)], True),
    ],
)
def test_ranges_of_ports_cover_all_or_not(
    ports: tuple[int, int], ranges: list[tuple[int, int]], expected: bool
) -> None:
    assert covered(ports, ranges) is expected


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (rule(), True),
        (rule(protocol="-1", ports=(0, 65535)), True),
        (rule(peer=TEN), True),
        (rule(peer=SUBNET), True),
        (rule(peer=IPv4Network("10.1.2.0/25")), False),
        (rule(peer="sg-3"), False),
        (rule(protocol="udp"), False),
        (rule(egress=True), False),
        (rule(group="sg-9"), False),
        (rule(ports=(23, 23)), False),
    ],
)
def test_a_rule_lets_through_what_it_says(one: Allowed, expected: bool) -> None:
    assert lets([one], ["sg-1"], egress=False, ports=(22, 22), peers=["sg-2", SUBNET]) is expected


def test_every_subnet_of_the_other_side_has_to_be_let_in() -> None:
    other = IPv4Network("10.1.3.0/24")
    one = rule(peer=SUBNET)
    assert not lets([one], ["sg-1"], egress=False, ports=(22, 22), peers=[SUBNET, other])
    assert lets([one, rule(peer=other)], ["sg-1"], egress=False, ports=(22, 22), peers=[SUBNET, other])


@pytest.fixture
def network(account: Account) -> Network:
    return given_network()


def allow(account: Account, network: Network, skip: set[tuple[str, str, int]] | None = None) -> None:
    """Give the groups the rules that the stack's own ones would have."""
    ec2 = account.client("ec2")
    ids = dict(zip(("head", "worker"), network.groups, strict=True))
    for one in rules([], package_proxy=False):
        if one.direction == "out" or (one.group, one.direction, one.ports[0]) in (skip or set()):
            continue  # AWS's default rules of a group let everything out
        ec2.authorize_security_group_ingress(
            GroupId=ids[one.group],
            IpPermissions=[
                {
                    "IpProtocol": "tcp",
                    "FromPort": one.ports[0],
                    "ToPort": one.ports[1],
                    "UserIdGroupPairs": [{"GroupId": ids[str(one.peer)]}],
                }
            ],
        )


def found(network: Network, cloud: Cloud, **more: Any) -> Finding:
    groups = {"head": [network.groups[0]], "workers": [network.groups[1]]}
    config = network.config(securityGroups=groups, **more)
    return answers(firewall.checks(config, STACK), cloud)["security groups"]


def test_groups_with_all_rules_pass(account: Account, network: Network, cloud: Cloud) -> None:
    allow(account, network)
    assert found(network, cloud).verdict == "passed"


def test_a_group_that_lets_nothing_in_fails_with_the_first_command(network: Network, cloud: Cloud) -> None:
    finding = found(network, cloud)
    head, worker = network.groups
    assert finding.verdict == "failed"
    assert f"TCP 22 in from {head} (worker)" in finding.detail
    assert f"TCP 32768 to 60999 in from {worker} (worker)" in finding.detail
    assert (
        f"aws ec2 authorize-security-group-ingress --group-id {worker} --ip-permissions "
        f"'IpProtocol=tcp,FromPort=22,ToPort=22,UserIdGroupPairs=[{{GroupId={head}}}]' --region {REGION}"
    ) in finding.fix


def test_a_single_missing_rule_is_named(account: Account, network: Network, cloud: Cloud) -> None:
    allow(account, network, skip={("head", "in", 7077)})
    finding = found(network, cloud)
    assert finding.detail == f"they do not let through: TCP 7077 in from {network.groups[1]} (head)"


def test_rules_may_name_the_other_sides_subnets(account: Account, network: Network, cloud: Cloud) -> None:
    allow(account, network, skip={("worker", "in", 22), ("head", "in", 7077)})
    ec2, (head, worker) = account.client("ec2"), network.groups
    for group, port, cidrs in ((worker, 22, ["10.1.0.0/24"]), (head, 7077, ["10.1.1.0/24", "10.1.2.0/24"])):
        for cidr in cidrs:
            ec2.authorize_security_group_ingress(
                GroupId=group, IpProtocol="tcp", FromPort=port, ToPort=port, CidrIp=cidr
            )
    assert found(network, cloud).verdict == "passed"


def test_operators_have_to_be_let_in_by_the_groups(account: Account, network: Network, cloud: Cloud) -> None:
    allow(account, network)
    finding = found(network, cloud, adminCidrs=["10.8.0.0/16"])
    assert "TCP 22 in from 10.8.0.0/16 (head)" in finding.detail
    assert "IpRanges=[{CidrIp=10.8.0.0/16}]" in finding.fix


def test_a_way_out_that_is_narrower_than_the_internet_is_only_noted(
    account: Account, network: Network, cloud: Cloud
) -> None:
    allow(account, network)
    ec2 = account.client("ec2")
    ec2.revoke_security_group_egress(
        GroupId=network.groups[0], IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    ec2.authorize_security_group_egress(
        GroupId=network.groups[0],
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
    )
    finding = found(network, cloud)
    assert finding.verdict == "note"
    assert "TCP 443 out to 0.0.0.0/0 (head)" in finding.detail


EFA = {"efa": True, "instanceTypes": ["g5.8xlarge"]}


def with_efa(network: Network, cloud: Cloud, **more: Any) -> Finding:
    one = {"head": network.head, "workers": network.workers[:1]}
    return found(network, cloud, subnets=one, **EFA, **more)


def itself(account: Account, group: str, verb: str, **permission: Any) -> None:
    rule = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}], **permission}
    ask = getattr(account.client("ec2"), f"authorize_security_group_{verb}")
    ask(GroupId=group, IpPermissions=[rule])


def test_efa_needs_a_group_that_lets_everything_in_and_out_from_and_to_itself(
    account: Account, network: Network, cloud: Cloud
) -> None:
    allow(account, network)
    worker = network.groups[1]
    finding = with_efa(network, cloud)
    assert finding.verdict == "failed", "AWS's default rule lets all out to addresses, which EFA has none of"
    assert finding.detail == (
        f"they do not let through: all protocols (EFA) in from {worker} (worker); "
        f"all protocols (EFA) out to {worker} (worker)"
    )
    assert (
        f"authorize-security-group-ingress --group-id {worker} --ip-permissions "
        f"'IpProtocol=-1,UserIdGroupPairs=[{{GroupId={worker}}}]'"
    ) in finding.fix
    itself(account, worker, "ingress")
    assert with_efa(network, cloud).detail.endswith(f": all protocols (EFA) out to {worker} (worker)")
    itself(account, worker, "egress")
    assert with_efa(network, cloud).verdict == "passed"


@pytest.mark.parametrize(
    "permission",
    [
        {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535},
        {"UserIdGroupPairs": [], "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
    ],
    ids=["TCP alone", "a range"],
)
def test_neither_tcp_nor_a_range_is_enough_for_efa(
    account: Account, network: Network, cloud: Cloud, permission: dict[str, Any]
) -> None:
    allow(account, network)
    itself(account, network.groups[1], "egress")
    itself(account, network.groups[1], "ingress", **permission)
    assert "all protocols (EFA) in from" in with_efa(network, cloud).detail


def test_without_efa_no_such_group_is_asked_for(account: Account, network: Network, cloud: Cloud) -> None:
    allow(account, network)
    assert "EFA" not in found(network, cloud).detail


@pytest.mark.parametrize(
    "more", [{}, {"securityGroups": {"head": ["sg-0aaaaaaaaaaaaaaaa"], "additional": True}}]
)
def test_beside_the_stacks_own_groups_nothing_is_asked(network: Network, more: dict[str, Any]) -> None:
    assert firewall.checks(network.config(**more), STACK) == []


def test_each_rule_of_the_stack_is_looked_for() -> None:
    table: list[Rule] = rules([IPv4Network("10.8.0.0/16")], package_proxy=True, efa=True)
    sides = {"head": ["sg-1"], "worker": ["sg-2"]}
    lacking = list(firewall.missing(table, [], sides, {"head": [SUBNET], "worker": [SUBNET]}))
    assert [one.rule for one in lacking] == table

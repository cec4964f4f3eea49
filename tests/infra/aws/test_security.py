"""Security groups: the rules as data, and what becomes of them."""

from __future__ import annotations

import re
from functools import cache
from ipaddress import IPv4Network
from itertools import product
from pathlib import Path

import pytest
import yaml

from infra.aws import security
from infra.aws.security import Rule, SecurityGroups, SecurityGroupsArgs, rules
from tests.infra.aws.conftest import STACK, Recording, record

ROLES = Path(__file__).resolve().parents[3] / "bootstrap" / "roles"
ADMINS = (IPv4Network("203.0.113.7/32"), IPv4Network("198.51.100.0/24"))
ANYWHERE = IPv4Network("0.0.0.0/0")
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
EVERY = [
    rules(admins, package_proxy=proxy, efa=efa)
    for admins, proxy, efa in product([(), ADMINS[:1], ADMINS], [False, True], [False, True])
]


@cache
def made(admins: tuple[IPv4Network, ...] = (), proxy: bool = False, efa: bool = False) -> Recording:
    args = SecurityGroupsArgs(
        stack=STACK, vpc_id="vpc-0123", admin_cidrs=admins, package_proxy=proxy, efa=efa
    )
    return record(lambda: _ignore(SecurityGroups("security", args)))


def _ignore(_: object) -> None:
    """A program's resources are registered, not returned."""


def lets(table: list[Rule], source: str, target: str, port: int) -> bool:
    """True if one group lets a connection out and the other lets it in."""
    out = any(
        (rule.group, rule.direction, rule.peer) == (source, "out", target)
        and rule.ports[0] <= port <= rule.ports[1]
        for rule in table
    )
    into = any(
        (rule.group, rule.direction, rule.peer) == (target, "in", source)
        and rule.ports[0] <= port <= rule.ports[1]
        for rule in table
    )
    assert out == into, "half a connection"
    return out


@pytest.mark.parametrize("table", EVERY)
def test_from_the_internet_comes_nothing_but_ssh_to_the_head_from_ranges_that_were_named(
    table: list[Rule],
) -> None:
    for rule in table:
        if rule.direction == "in" and isinstance(rule.peer, IPv4Network):
            assert (rule.group, rule.ports) == ("head", (22, 22))
            assert rule.peer in ADMINS


def test_without_admins_nothing_comes_in_from_any_range() -> None:
    assert not any(
        rule.direction == "in" and isinstance(rule.peer, IPv4Network)
        for rule in rules((), package_proxy=False)
    )


def test_each_admin_is_let_in() -> None:
    table = rules(ADMINS, package_proxy=False)
    assert {rule.peer for rule in table if rule.direction == "in" and rule.ports == (22, 22)} == {
        *ADMINS,
        "head",
    }


@pytest.mark.parametrize(
    ("source", "target", "port", "expected"),
    [
        ("head", "worker", 22, True),
        ("worker", "head", 7077, True),
        ("worker", "head", 8080, True),
        ("worker", "head", 8090, True),
        ("worker", "head", 40000, True),
        ("head", "worker", 8081, True),
        ("head", "worker", 60999, True),
        ("worker", "worker", 32768, True),
        ("worker", "head", 22, False),
        ("worker", "worker", 22, False),
        ("worker", "head", 3142, False),
        # HDFS, which is not there: its RPC, its pages, its data
        ("worker", "head", 9000, False),
        ("worker", "head", 9870, False),
        ("worker", "worker", 9866, False),
        ("worker", "worker", 61000, False),
        ("worker", "worker", 7077, False),
    ],
)
def test_within_the_cluster_goes_what_spark_and_the_all_reduce_need(
    source: str, target: str, port: int, expected: bool
) -> None:
    assert lets(rules((), package_proxy=False), source, target, port) is expected


def test_the_package_proxy_is_reached_only_where_there_is_one() -> None:
    assert lets(rules((), package_proxy=True), "worker", "head", 3142)


@pytest.mark.parametrize("table", EVERY)
def test_to_the_outside_go_two_ports(table: list[Rule]) -> None:
    outside = {
        (rule.group, rule.ports) for rule in table if rule.direction == "out" and rule.peer == ANYWHERE
    }
    assert outside <= {(group, (port, port)) for group in ("head", "worker") for port in (80, 443)}


def test_workers_behind_a_package_proxy_ask_no_mirror() -> None:
    table = rules((), package_proxy=True)
    assert {rule.ports for rule in table if rule.group == "worker" and rule.peer == ANYWHERE} == {(443, 443)}


@pytest.mark.parametrize("table", EVERY)
def test_each_rule_says_why_in_letters_that_ec2_takes(table: list[Rule]) -> None:
    for rule in table:
        assert re.fullmatch(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{10,255}", rule.why), rule.why


@pytest.mark.parametrize("table", EVERY)
def test_no_two_rules_are_the_same(table: list[Rule]) -> None:
    assert len({rule.key for rule in table}) == len(table)


@pytest.mark.parametrize("table", EVERY)
def test_a_group_has_no_more_rules_than_ec2_takes_with_fifty_admins(table: list[Rule]) -> None:
    into = sum(rule.group == "head" and rule.direction == "in" for rule in table)
    assert into - len(ADMINS) + 50 <= 60


def test_the_ports_are_those_of_the_roles() -> None:
    spark = yaml.safe_load((ROLES / "spark_standalone" / "defaults.yaml").read_text())
    proxy = yaml.safe_load((ROLES / "packages_proxy" / "defaults.yaml").read_text())
    assert spark["spark_master_ui"] == security.SPARK_MASTER_PAGE
    assert spark["spark_worker_ui"] == security.SPARK_WORKER_PAGE
    assert proxy["proxy_port"] == security.PACKAGE_PROXY


@pytest.mark.parametrize("proxy", [False, True])
@pytest.mark.parametrize("admins", [(), ADMINS])
def test_every_rule_of_the_data_is_registered_and_no_other(
    admins: tuple[IPv4Network, ...], proxy: bool
) -> None:
    recording = made(admins, proxy)
    groups = {
        one.id: name.removeprefix("security-")
        for name, one in recording.of("aws:ec2/securityGroup:SecurityGroup").items()
    }
    found = set()
    for direction, kind in (("in", INGRESS), ("out", EGRESS)):
        for one in recording.of(kind).values():
            inputs = one.inputs
            peer = inputs.get("cidrIpv4") or groups[inputs["referencedSecurityGroupId"]]
            ports = (int(inputs["fromPort"]), int(inputs["toPort"]))
            assert inputs["ipProtocol"] == "tcp"
            found.add((groups[inputs["securityGroupId"]], direction, peer, ports, inputs["description"]))
    assert found == {
        (rule.group, rule.direction, str(rule.peer), rule.ports, rule.why)
        for rule in rules(admins, package_proxy=proxy)
    }


def test_efa_opens_everything_between_workers_to_their_own_group_and_nothing_else() -> None:
    plain, with_efa = rules(ADMINS, package_proxy=False), rules(ADMINS, package_proxy=False, efa=True)
    more = [rule for rule in with_efa if rule not in plain]
    assert [(rule.group, rule.direction, rule.peer, rule.protocol) for rule in more] == [
        ("worker", "in", "worker", "-1"),
        ("worker", "out", "worker", "-1"),
    ]


def test_rules_of_all_protocols_name_no_ports_which_ec2_refuses() -> None:
    recording = made(efa=True)
    group = recording.of("aws:ec2/securityGroup:SecurityGroup")["security-worker"].id
    for kind in (INGRESS, EGRESS):
        (one,) = (one for one in recording.of(kind).values() if one.inputs["ipProtocol"] == "-1")
        assert one.inputs["securityGroupId"] == one.inputs["referencedSecurityGroupId"] == group
        assert not {"fromPort", "toPort", "cidrIpv4"} & set(one.inputs)


def test_groups_bring_no_rules_of_their_own() -> None:
    for group in made(ADMINS).of("aws:ec2/securityGroup:SecurityGroup").values():
        assert not group.inputs.get("ingress")
        assert not group.inputs.get("egress")
        assert group.inputs["vpcId"] == "vpc-0123"


def test_an_admin_less_moves_no_other_rule() -> None:
    before = {one.urn: one.inputs for one in made(ADMINS).resources}
    after = {one.urn: one.inputs for one in made(ADMINS[1:]).resources}
    assert {urn: before[urn] for urn in after} == after
    assert len(before) - len(after) == 1


def test_the_component_tells_its_two_groups() -> None:
    recording = made()
    (outputs,) = recording.components.values()
    groups = recording.of("aws:ec2/securityGroup:SecurityGroup")
    assert outputs == {"head_id": groups["security-head"].id, "worker_id": groups["security-worker"].id}

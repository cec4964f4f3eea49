"""Traffic that a network security group admits: rules in their order, tags, ranges, doubts."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from infra.azure.preflight.nsg import Traffic, admits, denied_outbound, free_priority
from tests.infra.azure.given import DEFAULTS, rule

SUBNET = IPv4Network("10.9.8.0/24")
EUROPE = Traffic("HDInsight", "HDInsight.WestEurope", (443,))
OPERATOR = Traffic("operator", "198.18.0.7/32", (22,))
WITHIN = Traffic("machines", "VirtualNetwork", (22, 8020))
PROBES = Traffic("probes", "AzureLoadBalancer", (443,))


def access(traffic: Traffic, *rules: dict[str, Any]) -> str:
    return admits([*rules, *DEFAULTS], traffic, SUBNET).access


@pytest.mark.parametrize(
    "source",
    ["HDInsight.WestEurope", "hdinsight.westeurope", "HDInsight", "*", "Internet", "AzureCloud", "0.0.0.0/0"],
)
def test_a_tag_is_admitted_by_itself_and_by_what_contains_it(source: str) -> None:
    assert access(EUROPE, rule("a", 100, source)) == "Allow"


@pytest.mark.parametrize(
    "source", ["HDInsight.WestUS", "VirtualNetwork", "Storage", "10.0.0.0/8", "AzureLoadBalancer"]
)
def test_by_nothing_else(source: str) -> None:
    assert access(EUROPE, rule("a", 100, source)) == "Deny"


@pytest.mark.parametrize("source", ["20.31.0.0/16", "AzureCloud.westeurope"])
def test_addresses_that_may_be_the_tags_leave_a_doubt_with_the_rules_name(source: str) -> None:
    answer = admits([rule("old", 100, source), *DEFAULTS], EUROPE, SUBNET)
    assert (answer.access, answer.unsure) == ("unknown", ("old",))


def test_a_doubtful_rule_before_one_that_says_the_same_matters_not() -> None:
    assert access(EUROPE, rule("old", 100, "20.31.0.0/16"), rule("new", 110, "HDInsight")) == "Allow"
    deny = rule("blocked", 100, "20.31.0.0/16", access="Deny")
    assert access(EUROPE, deny) == "Deny"
    assert access(EUROPE, deny, rule("new", 110, "HDInsight")) == "unknown"


def test_the_first_rule_by_priority_decides() -> None:
    allow, deny = rule("allow", 300, "HDInsight"), rule("deny", 200, "Internet", "*", access="Deny")
    answer = admits([allow, deny, *DEFAULTS], EUROPE, SUBNET)
    assert (answer.access, answer.rule, answer.priority) == ("Deny", "deny", 200)


@pytest.mark.parametrize(("ports", "expected"), [("443", "Allow"), ("400-500", "Allow"), ("80", "Deny")])
def test_ports_are_single_or_ranges(ports: str, expected: str) -> None:
    assert access(EUROPE, rule("a", 100, "HDInsight", ports)) == expected
    listed = rule("a", 100, "HDInsight", "", destinationPortRanges=["80", ports])
    assert access(EUROPE, listed) == expected


def test_another_protocol_or_direction_is_another_matter() -> None:
    assert access(EUROPE, rule("a", 100, "HDInsight", protocol="Udp")) == "Deny"
    assert access(EUROPE, rule("a", 100, "HDInsight", direction="Outbound")) == "Deny"
    assert access(EUROPE, rule("a", 100, "HDInsight", protocol="*")) == "Allow"


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("VirtualNetwork", "Allow"),
        ("10.9.0.0/16", "Allow"),
        ("10.9.8.0/25", "unknown"),
        ("10.8.0.0/16", "Deny"),
        ("Storage", "Deny"),
    ],
)
def test_the_subnet_must_be_the_destination(destination: str, expected: str) -> None:
    assert access(EUROPE, rule("a", 100, "HDInsight", destinationAddressPrefix=destination)) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("198.18.0.0/16", "Allow"),
        ("198.18.0.7", "Allow"),
        ("Internet", "Allow"),
        ("198.18.1.0/24", "Deny"),
        ("VirtualNetwork", "Deny"),
    ],
)
def test_an_operators_range_is_compared_as_a_range(source: str, expected: str) -> None:
    assert access(OPERATOR, rule("a", 100, source, "22")) == expected


def test_a_part_of_a_range_is_a_doubt() -> None:
    office = Traffic("office", "198.18.0.0/24", (22,))
    assert access(office, rule("a", 100, "198.18.0.0/25", "22")) == "unknown"


def test_azures_own_rules_admit_machines_and_probes_unless_one_goes_before() -> None:
    assert access(WITHIN) == access(PROBES) == "Allow"
    everything = rule("deny-all", 4096, "*", "*", access="Deny", protocol="*")
    assert access(WITHIN, everything) == access(PROBES, everything) == "Deny"
    assert access(WITHIN, everything, rule("own", 4000, "10.9.8.0/24", "*")) == "Allow"
    assert access(WITHIN, everything, rule("ssh", 4000, "VirtualNetwork", "22")) == "Deny"


def test_the_internet_may_be_closed_outbound() -> None:
    assert denied_outbound(DEFAULTS, 443) == ""
    closed = rule(
        "no-way", 4000, "*", "*", access="Deny", direction="Outbound", destinationAddressPrefix="Internet"
    )
    assert denied_outbound([closed, *DEFAULTS], 443) == "no-way"


def test_a_new_rule_goes_before_the_one_that_denies() -> None:
    assert free_priority(DEFAULTS, 65500) == 300
    assert free_priority([rule("a", 300, "*")], 65500) == 301
    assert free_priority([], 120) == 100
    assert free_priority([], 100) is None

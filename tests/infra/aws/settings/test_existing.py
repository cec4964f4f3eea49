"""Settings of a network, roles and tags that a company gives: each mistake is named before any resource."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from bootstrap.errors import ConfigError
from tests.infra.aws.settings.stack_file import loaded

VPC = "vpc-0123456789abcdef0"
HEAD, FIRST, SECOND = "subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb", "subnet-0cccccccccccccccc"
GROUP, OTHER = "sg-0aaaaaaaaaaaaaaaa", "sg-0bbbbbbbbbbbbbbbb"
SUBNETS = {"head": HEAD, "workers": [FIRST, SECOND]}
THERE: dict[str, Any] = {"vpc": VPC, "subnets": SUBNETS}
BOUNDARY = "arn:aws:iam::123456789012:policy/team/limits"
JOB = "arn:aws:iam::123456789012:role/jobs"


def test_a_vpc_and_its_subnets_are_enough() -> None:
    config = loaded(**THERE)
    assert config.subnets is not None
    assert (config.vpc, config.subnets.head, config.subnets.workers) == (VPC, HEAD, (FIRST, SECOND))
    assert (config.head_address, config.security_groups) == (None, None)
    assert (config.head_public_address, config.package_proxy, config.login) == (
        False,
        False,
        "session_manager",
    )


def test_everything_may_be_given() -> None:
    config = loaded(
        **THERE,
        securityGroups={"head": [GROUP], "workers": [OTHER], "additional": True},
        headAddress="10.1.2.10",
        packageProxy=True,
        instanceProfiles={"head": "team-head", "worker": "team-worker", "jobRole": JOB},
        tags={"CostCentre": 42, "company:owner": "team / vision", "empty": ""},
    )
    assert config.security_groups is not None and config.instance_profiles is not None
    assert (config.security_groups.head, config.security_groups.additional) == ((GROUP,), True)
    assert (config.head_address, config.package_proxy) == (IPv4Address("10.1.2.10"), True)
    assert config.instance_profiles.job_role == JOB
    assert config.tags == {"CostCentre": "42", "company:owner": "team / vision", "empty": ""}


@pytest.mark.parametrize(
    ("sources", "public", "login"),
    [
        ([], False, "session_manager"),
        (["203.0.113.7"], True, "public_address"),
        (["10.8.0.0/16", "192.168.7.0/24"], False, "private_address"),
        (["100.64.3.0/24"], False, "private_address"),
    ],
)
def test_operators_come_from_the_internet_or_through_a_vpn(
    sources: list[str], public: bool, login: str
) -> None:
    config = loaded(**THERE, adminCidrs=sources)
    assert (config.head_public_address, config.login) == (public, login)


def test_a_head_in_a_public_subnet_may_have_a_public_address_for_its_way_out_alone() -> None:
    config = loaded(**THERE, adminCidrs=["10.8.0.0/16"], headPublicAddress=True)
    assert (config.head_public_address, config.login) == (True, "private_address")


def test_in_the_stacks_own_network_the_head_has_a_public_address_and_endpoints_need_the_proxy() -> None:
    assert (loaded().head_public_address, loaded().package_proxy) == (True, False)
    assert loaded(egress="endpoints").package_proxy


def test_roles_and_tags_do_not_depend_on_the_network() -> None:
    config = loaded(permissionsBoundary=BOUNDARY, tags={"Team": "vision"}, flowLogs=True)
    assert (config.permissions_boundary, config.vpc) == (BOUNDARY, None)


@pytest.mark.parametrize(
    "key", ["vpc", "subnets", "securityGroups", "headAddress", "instanceProfiles", "permissionsBoundary"]
)
def test_a_key_without_a_value_is_as_if_it_were_not_there(key: str) -> None:
    assert loaded(**{key: ""}) == loaded()


def test_every_zone_of_the_region_may_be_that_of_a_subnet() -> None:
    """In us-west-2, g5.xlarge is not in the last zone."""
    config = loaded(**THERE, region="us-west-2", instanceTypes=["g5.xlarge"])
    assert config.zones == tuple(f"us-west-2{letter}" for letter in "abcd")


MISTAKES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    # network
    ("a VPC alone", {"vpc": VPC}, (f"vpc = {VPC}", "subnets is missing", "--path subnets.head subnet-")),
    ("a VPC's name", {"vpc": "main"}, ("vpc = 'main'", "vpc- and 8 or 17 hexadecimal digits")),
    (
        "a subnet for a VPC",
        {"vpc": FIRST, "subnets": SUBNETS},
        (f"vpc = '{FIRST}'", "8 or 17 hexadecimal digits", "config set vpc vpc-"),
    ),
    (
        "subnets without a VPC",
        {"subnets": SUBNETS},
        ("subnets = head, workers", "vpc is missing", "set vpc vpc-"),
    ),
    (
        "subnets as list",
        {"vpc": VPC, "subnets": [FIRST]},
        ("it must be a mapping", "valid: head and workers", "--path subnets.head subnet-"),
    ),
    (
        "nowhere for the head",
        {"vpc": VPC, "subnets": {"workers": [FIRST]}},
        ("subnets.head: it is required", "--path subnets.head subnet-"),
    ),
    (
        "nowhere for workers",
        {"vpc": VPC, "subnets": {"head": HEAD}},
        ("subnets.workers: it is required", "--path 'subnets.workers[0]' subnet-"),
    ),
    (
        "no subnet for workers",
        {"vpc": VPC, "subnets": {"head": HEAD, "workers": []}},
        ("subnets.workers = []", "it is empty", "one private subnet or more"),
    ),
    (
        "twice the same subnet",
        {"vpc": VPC, "subnets": {"head": HEAD, "workers": [FIRST, SECOND, FIRST]}},
        (f"subnets.workers[2] = {FIRST}", "subnets.workers[0] already", "rm --path 'subnets.workers[2]'"),
    ),
    (
        "a subnet's name",
        {"vpc": VPC, "subnets": {"head": HEAD, "workers": ["private-a"]}},
        ("subnets.workers[0] = 'private-a'", "subnet- and 8 or 17"),
    ),
    (
        "a kind of subnet that there is not",
        {"vpc": VPC, "subnets": {**SUBNETS, "public": FIRST}},
        ("subnets.public: unknown key", "valid: head and workers", "config rm --path subnets.public"),
    ),
    (
        "zones beside a VPC",
        {**THERE, "zones": ["eu-west-1a"]},
        ("zones = eu-west-1a", "given subnets", "rm zones"),
    ),
    ("a range beside a VPC", {**THERE, "cidr": "10.41.0.0/16"}, ("cidr = 10.41.0.0/16", "config rm cidr")),
    ("a way out beside a VPC", {**THERE, "egress": "nat"}, ("egress = nat", "config rm egress")),
    ("flow logs of a VPC", {**THERE, "flowLogs": True}, ("flowLogs = true", "a change of the given VPC")),
    (
        "groups without a VPC",
        {"securityGroups": {"head": [GROUP], "workers": [OTHER]}},
        ("securityGroups = head, workers", "vpc is missing"),
    ),
    (
        "groups for the head alone",
        {**THERE, "securityGroups": {"head": [GROUP]}},
        ("securityGroups.workers = []", "additional: true", "--path securityGroups.additional true"),
    ),
    (
        "nothing in addition",
        {**THERE, "securityGroups": {"additional": True}},
        ("securityGroups.additional = true", "neither head nor workers", "rm securityGroups"),
    ),
    (
        "twice the same group",
        {**THERE, "securityGroups": {"head": [GROUP, GROUP], "workers": [OTHER]}},
        (f"securityGroups.head[1] = {GROUP}", "securityGroups.head[0] already"),
    ),
    (
        "more groups than an interface takes",
        {**THERE, "securityGroups": {"head": [f"sg-{n:017x}" for n in range(16)], "workers": [OTHER]}},
        ("securityGroups.head = 16 groups", "15 at most"),
    ),
    (
        "a group's name",
        {**THERE, "securityGroups": {"head": ["default"], "workers": [OTHER]}},
        ("securityGroups.head[0] = 'default'", "sg- and 8 or 17"),
    ),
    ("an address without a VPC", {"headAddress": "10.40.1.9"}, ("headAddress = 10.40.1.9", "vpc is missing")),
    (
        "an address of nobody",
        {**THERE, "headAddress": "10.1.2"},
        ("headAddress = '10.1.2'", "a free private address", "set headAddress 10.1.2.10"),
    ),
    (
        "no public address in the stack's own network",
        {"headPublicAddress": False},
        ("headPublicAddress = false", "vpc is missing"),
    ),
    ("a proxy without a VPC", {"packageProxy": True}, ("packageProxy = true", "vpc is missing")),
    (
        "operators from inside and outside",
        {**THERE, "adminCidrs": ["10.8.0.0/16", "203.0.113.7"]},
        ("adminCidrs[1] = 203.0.113.7/32", "10.8.0.0/16 is a private range", "all private (a VPN)"),
    ),
    (
        "operators of the internet for a private head",
        {**THERE, "adminCidrs": ["203.0.113.7"], "headPublicAddress": False},
        ("headPublicAddress = false", "203.0.113.7/32 (adminCidrs) is a public range"),
    ),
    (
        "everybody, in a given network too",
        {**THERE, "adminCidrs": ["0.0.0.0/0"]},
        ("adminCidrs[0] = 0.0.0.0/0", "whole internet"),
    ),
    # roles
    (
        "a profile's ARN",
        {"instanceProfiles": {"head": "arn:aws:iam::123456789012:instance-profile/x", "worker": "w"}},
        ("instanceProfiles.head = 'arn:", "not its ARN", "--path instanceProfiles.head NAME"),
    ),
    (
        "a profile for the head alone",
        {"instanceProfiles": {"head": "team-head"}},
        ("instanceProfiles.worker: it is required", "the name of an instance profile"),
    ),
    (
        "the jobs' role by name",
        {"instanceProfiles": {"head": "h", "worker": "w", "jobRole": "jobs"}},
        ("instanceProfiles.jobRole = 'jobs'", "valid: the ARN of a role"),
    ),
    ("a boundary by name", {"permissionsBoundary": "limits"}, ("= 'limits'", "valid: the ARN of a policy")),
    ("a role for a boundary", {"permissionsBoundary": JOB}, (f"= '{JOB}'", "valid: the ARN of a policy")),
    (
        "a boundary of no role",
        {
            "permissionsBoundary": BOUNDARY,
            "instanceProfiles": {"head": "h", "worker": "w", "jobRole": JOB},
        },
        (f"permissionsBoundary = {BOUNDARY}", "creates no role", "config rm permissionsBoundary"),
    ),
    # tags
    (
        "the stack's own tag",
        {"tags": {"Stack": "x"}},
        ("tags.Stack = x", "sets that tag itself", "rm --path tags.Stack"),
    ),
    (
        "the stack's own tag in IAM's eyes",
        {"tags": {"project": "x"}},
        ("tags.project = x", "sets that tag itself"),
    ),
    ("AWS's tag", {"tags": {"AWS:owner": "x"}}, ('tags["AWS:owner"] = x', "begin with aws:")),
    ("a tag without a name", {"tags": {"": "x"}}, ('tags[""] = x', "1 to 128 characters")),
    ("a long key", {"tags": {"k" * 129: "x"}}, ("1 to 128 characters",)),
    (
        "characters of no tag",
        {"tags": {"Team": "vision & speech"}},
        ("tags.Team = vision & speech", "letters, digits"),
    ),
    ("a tag that ends in a space", {"tags": {"Team ": "x"}}, ('tags["Team "] = x', "AWS refuses that key")),
    ("a long value", {"tags": {"Team": "x" * 257}}, ("it has 257 characters", "256 at most")),
    ("many tags", {"tags": {f"k{n}": "x" for n in range(46)}}, ("tags = 46 tags", "45 at most")),
    (
        "keys that differ in case alone",
        {"tags": {"Team": "a", "team": "b"}},
        ("tags.team = b", "Team is given", "the same key"),
    ),
    ("tags as list", {"tags": ["Team"]}, ("tags", "valid: keys and texts", "--path tags.CostCentre 42")),
    ("a tag that is a list", {"tags": {"Team": ["a"]}}, ("tags.Team", "valid: keys and texts")),
]


@pytest.mark.parametrize(
    ("values", "words"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES]
)
def test_a_mistake_is_named_with_what_is_valid(values: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(**values)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("caffe-spark:")
    for word in (*words, "pulumi config", "--stack aws", "valid: "):
        assert word in line, line

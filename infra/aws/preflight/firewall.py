"""Check that security groups of the company, where the stack has no other, let its traffic through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import aws
from infra.aws.existing import network as given
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.reach import ALL, EVERY_PORT, Allowed, allowed_of, lets
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.aws.security import Rule
    from infra.aws.settings.config import AwsConfig
    from infra.aws.settings.existing import GivenGroups

NAME: Final = "security groups"
Side = Mapping[str, Sequence[str]]
"""Role → its groups."""


@dataclass(frozen=True)
class Missing:
    """A rule that none of a role's groups has."""

    rule: Rule
    group: str
    """The first of the groups, which could have it."""
    peer: str

    def __str__(self) -> str:
        preposition = "from" if self.rule.direction == "in" else "to"
        return f"{_ports(self.rule)} {self.rule.direction} {preposition} {self.peer} ({self.rule.group})"

    def command(self, region: str) -> str:
        """Return the command by which the groups' owner adds the rule."""
        verb = "ingress" if self.rule.direction == "in" else "egress"
        peer = f"UserIdGroupPairs=[{{GroupId={self.peer}}}]"
        if isinstance(self.rule.peer, IPv4Network):
            peer = f"IpRanges=[{{CidrIp={self.peer}}}]"
        first, last = self.rule.ports
        what = "-1" if self.rule.everything else f"tcp,FromPort={first},ToPort={last}"
        permission = f"IpProtocol={what},{peer}"
        return (
            f"aws ec2 authorize-security-group-{verb} --group-id {self.group} "
            f"--ip-permissions '{permission}' --region {region}"
        )


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check, if the given groups are all that the machines have."""
    groups = config.security_groups
    if groups is None or groups.additional:
        return []
    return [CloudCheck(NAME, lambda cloud: [_groups(cloud, config, groups)])]


def missing(
    table: Sequence[Rule],
    allowed: Sequence[Allowed],
    sides: Side,
    ranges: Mapping[str, Sequence[IPv4Network]],
) -> Iterator[Missing]:
    """Yield the rules of the stack that the groups lack. `ranges` are those of each role's subnets. Pure."""
    for rule in table:
        if rule.everything:
            # Of a group from and to itself; a range does not count for EFA, which is no IP.
            own = sides[rule.group]
            if not any(_with_itself(allowed, one, egress=rule.direction == "out") for one in own):
                yield Missing(rule, own[0], own[0])
            continue
        if isinstance(rule.peer, IPv4Network):
            peers: list[IPv4Network | str] = [rule.peer]
            shown = str(rule.peer)
        else:
            peers = [*sides[rule.peer], *ranges[rule.peer]]
            shown = sides[rule.peer][0]
        groups = sides[rule.group]
        if not lets(allowed, groups, egress=rule.direction == "out", ports=rule.ports, peers=peers):
            yield Missing(rule, groups[0], shown)


def _with_itself(allowed: Sequence[Allowed], group: str, *, egress: bool) -> bool:
    return lets(allowed, [group], egress=egress, ports=EVERY_PORT, peers=[group], protocol=ALL)


def _groups(cloud: Cloud, config: AwsConfig, groups: GivenGroups) -> Finding:
    from infra.aws.security import rules  # imports Pulumi, which takes a second

    sides = {"head": groups.head, "worker": groups.workers}
    with aws.translate_errors("looking at the security groups"):
        allowed = allowed_of(cloud.ec2, sorted({*groups.head, *groups.workers}))
        ranges: dict[str, list[IPv4Network]] = {"head": [], "worker": []}
        if config.subnets:
            found = given.described(cloud.ec2, config.subnets)
            ranges = {
                "head": [one.cidr for one in found.values() if one.id == config.subnets.head],
                "worker": [one.cidr for one in found.values() if one.id in config.subnets.workers],
            }
    table = rules(config.admin_cidrs, package_proxy=config.package_proxy, efa=config.efa)
    lacking = list(missing(table, allowed, sides, ranges))
    # A company may lead out by a proxy, or name ranges and prefix lists of AWS's services.
    outside = [
        one for one in lacking if one.rule.direction == "out" and isinstance(one.rule.peer, IPv4Network)
    ]
    inside = [one for one in lacking if one not in outside]
    for verdict, found_missing in (("failed", inside), ("note", outside)):
        if found_missing:
            said = "; ".join(map(str, found_missing))
            return Finding(
                NAME,
                "failed" if verdict == "failed" else "note",
                f"they do not let through: {said}",
                f"Ask their owner for each: `{found_missing[0].command(cloud.region)}`.",
            )
    return Finding(NAME, "passed", f"{len(table)} rules of the cluster hold")


def _ports(rule: Rule) -> str:
    if rule.everything:
        return "all protocols (EFA)"
    first, last = rule.ports
    return f"TCP {first}" if first == last else f"TCP {first} to {last}"

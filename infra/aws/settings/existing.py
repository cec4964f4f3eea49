"""Settings of a network, roles and tags that a company gives to a stack, and rules that combine them. Pure.

The stack creates nothing in the place of what is given, and never changes or deletes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from infra.settings.commands import rm_command, set_command
from infra.settings.fields import Unset
from infra.settings.network import is_private
from infra.settings.refusal import Refusal, listed
from infra.settings.section import YES_OR_NO, Hint, Section

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

EXAMPLE: Final = "0123456789abcdef0"
HEX: Final = "8 or 17 hexadecimal digits"
MAX_GROUPS: Final = 15
"""AWS attaches 5 groups to an interface by default and 16 at most; one may be the stack's own.
https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html (read 2026-11)"""
BOUNDARY: Final = "arn:aws:iam::123456789012:policy/NAME"
JOB_ROLE: Final = "arn:aws:iam::123456789012:role/NAME"

VpcId = Annotated[str, Field(pattern=r"^vpc-([0-9a-f]{8}|[0-9a-f]{17})$")]
SubnetId = Annotated[str, Field(pattern=r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$")]
GroupId = Annotated[str, Field(pattern=r"^sg-([0-9a-f]{8}|[0-9a-f]{17})$")]
ProfileName = Annotated[str, Field(pattern=r"^[\w+=,.@-]{1,128}$")]
RoleArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$")]
PolicyArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+$")]

VPC: Final = Hint(f"vpc-{EXAMPLE}", f"vpc- and {HEX}")
_SUBNET: Final = f"subnet- and {HEX}"
_GROUPS: Final = Hint(f"sg-{EXAMPLE}", f"a list of ids, sg- and {HEX}", at=(0,))
_PROFILE: Final = "the name of an instance profile, not its ARN"


class Subnets(Section):
    """Subnets of the given VPC."""

    head: Annotated[SubnetId, Hint(f"subnet-{EXAMPLE}", _SUBNET)]
    workers: Annotated[tuple[SubnetId, ...], Hint(f"subnet-{EXAMPLE}", f"a list of ids, {_SUBNET}", at=(0,))]
    """Of as many zones as possible; private ones, since workers get no public addresses."""


class GivenGroups(Section):
    """Security groups of the given VPC, instead of the stack's own ones or beside them."""

    head: Annotated[tuple[GroupId, ...], _GROUPS] = ()
    workers: Annotated[tuple[GroupId, ...], _GROUPS] = ()
    additional: Annotated[bool, Hint("true", YES_OR_NO)] = False
    """The stack creates its own groups too."""


class InstanceProfiles(Section):
    """Instance profiles of the company, for whose roles the stack creates no policies."""

    head: Annotated[ProfileName, Hint("NAME", _PROFILE)]
    worker: Annotated[ProfileName, Hint("NAME", _PROFILE)]
    job_role: Annotated[RoleArn | None, Hint(JOB_ROLE, "the ARN of a role")] = None
    """Role that both assume for jobs; without it, the stack creates one."""


VpcSetting = Annotated[VpcId | None, Unset, VPC]
SubnetsSetting = Annotated[Subnets | None, Unset, Hint(f"subnet-{EXAMPLE}", "head and workers", at=("head",))]
GroupsSetting = Annotated[
    GivenGroups | None, Unset, Hint(f"sg-{EXAMPLE}", "head, workers, additional", at=("head", 0))
]
AddressSetting = Annotated[
    IPv4Address | None, Unset, Hint("10.1.2.10", "a free private address of the head's subnet")
]
ProfilesSetting = Annotated[
    InstanceProfiles | None, Unset, Hint("NAME", "head, worker, jobRole", at=("head",))
]
BoundarySetting = Annotated[PolicyArn | None, Unset, Hint(BOUNDARY, "the ARN of a policy")]


def check_network(config: AwsConfig) -> None:
    """Validate the given network.

    Raises:
        Refusal: a setting is missing, or does not go with another one.
    """
    if config.vpc is None:
        _without_vpc(config)
        return
    for field, key, why in _DECIDED:
        if field in config.model_fields_set and getattr(config, field):
            raise Refusal(
                key, _said(config, field), f"{why} (vpc); valid: {key} or vpc, not both", rm_command(key)
            )
    if config.subnets is None:
        why = "subnets is missing, which says where head and workers are; valid: vpc and subnets, or neither"
        raise Refusal("vpc", config.vpc, why, set_command("subnets.head", f"subnet-{EXAMPLE}"))
    if not config.subnets.workers:
        why = "it is empty; valid: one private subnet or more, of as many zones as possible"
        raise Refusal("subnets.workers", "[]", why, set_command("subnets.workers[0]", f"subnet-{EXAMPLE}"))
    _no_twins("subnets.workers", config.subnets.workers)
    _groups(config.security_groups)
    _operators(config)


def check_identity(config: AwsConfig) -> None:
    """Validate the permissions boundary against the given roles.

    Raises:
        Refusal: the stack creates no role.
    """
    if config.permissions_boundary and not config.creates_roles:
        why = "the stack creates no role, since instanceProfiles names all three; valid: one of the two keys"
        raise Refusal(
            "permissionsBoundary", config.permissions_boundary, why, rm_command("permissionsBoundary")
        )


_DECIDED: Final = (
    ("zones", "zones", "the zones are those of the given subnets"),
    ("cidr", "cidr", "the range is that of the given VPC"),
    ("egress", "egress", "the way out is that of the given subnets"),
    ("flow_logs", "flowLogs", "flow logs would be a change of the given VPC"),
)
_NEED_VPC: Final = (
    ("subnets", "subnets"),
    ("security_groups", "securityGroups"),
    ("head_address", "headAddress"),
    ("head_public_address", "headPublicAddress"),
    ("package_proxy", "packageProxy"),
)


def _without_vpc(config: AwsConfig) -> None:
    for field, key in _NEED_VPC:
        if field in config.model_fields_set and getattr(config, field) is not None:
            why = f"vpc is missing: without it the stack creates its own network; valid: {key} with vpc"
            raise Refusal(key, _said(config, field), why, set_command("vpc", VPC.example))


def _said(config: AwsConfig, field: str) -> str:
    value = getattr(config, field)
    if isinstance(value, Section):
        return listed(value.model_dump(by_alias=True, exclude_defaults=True))
    if isinstance(value, tuple):
        return listed(value) or "[]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _groups(groups: GivenGroups | None) -> None:
    if groups is None:
        return
    for key, given in (("securityGroups.head", groups.head), ("securityGroups.workers", groups.workers)):
        if not given and not groups.additional:
            why = (
                "it is empty, and an instance has a group at least; valid: head and workers, "
                "or additional: true beside the stack's own groups"
            )
            raise Refusal(key, "[]", why, set_command("securityGroups.additional", "true"))
        if len(given) > MAX_GROUPS:
            why = f"AWS attaches no more to an instance; valid: {MAX_GROUPS} at most"
            raise Refusal(key, f"{len(given)} groups", why, rm_command(f"{key}[{MAX_GROUPS}]"))
        _no_twins(key, given)
    if not groups.head and not groups.workers:
        why = "neither head nor workers has one; valid: groups for either, or no securityGroups"
        raise Refusal("securityGroups.additional", "true", why, rm_command("securityGroups"))


def _operators(config: AwsConfig) -> None:
    """Refuse operators that could not reach the head: one address serves all of them."""
    private = [source for source in config.admin_cidrs if is_private(source)]
    public = [source for source in config.admin_cidrs if not is_private(source)]
    if private and public:
        place = config.admin_cidrs.index(public[0])
        why = (
            f"{private[0]} is a private range: SSH goes either to the head's private address or to its "
            "public one; valid: all private (a VPN), or all public"
        )
        raise Refusal(f"adminCidrs[{place}]", public[0], why, rm_command(f"adminCidrs[{place}]"))
    if public and not config.head_public_address:
        why = f"{public[0]} (adminCidrs) is a public range; valid: true, or private ranges in adminCidrs"
        raise Refusal("headPublicAddress", "false", why, set_command("headPublicAddress", "true"))


def _no_twins(key: str, values: Sequence[str]) -> None:
    for place, value in enumerate(values):
        if value in values[:place]:
            why = f"it is {key}[{values.index(value)}] already; valid: no duplicates"
            raise Refusal(f"{key}[{place}]", value, why, rm_command(f"{key}[{place}]"))

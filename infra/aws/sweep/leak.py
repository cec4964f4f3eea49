"""What a sweep finds: a thing that bears our tags, what it costs, and the command that removes it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from infra.tags import PROJECT

PROJECT_TAG: Final = "Project"
STACK_TAG: Final = "Stack"
GLOBAL: Final = "global"
"""Where things are that have no region."""

NO_PAGER: Final = "export AWS_PAGER="
"""Else the CLI's second version stops at each answer, and takes the next command for a key."""

KINDS: Final = (
    "Auto Scaling group",
    "spot request",
    "instance",
    "launch template",
    "NAT gateway",
    "VPC endpoint",
    "elastic address",
    "volume",
    "snapshot",
    "network interface",
    "security group",
    "subnet",
    "route table",
    "internet gateway",
    "VPC",
    "key pair",
    "log group",
    "parameter",
    "bucket",
    "instance profile",
    "role",
    "policy",
)
"""In the order in which they can be removed: a group before the instances that it would replace …"""


@dataclass(frozen=True)
class Leak:
    """A thing of ours. `usd_month`: 0 where it costs nothing by itself, None where its price is not known."""

    region: str
    kind: str
    id: str
    name: str
    stack: str
    usd_month: Decimal | None
    command: str
    """For a POSIX shell; a comment, where it goes with something else that is found too."""
    before: str = ""
    """What has to be typed for every thing of this kind before the first one's `command`."""

    @property
    def order(self) -> tuple[bool, str, int, str]:
        """By region, and there in the order in which things can be removed; what has no region comes last."""
        return self.region == GLOBAL, self.region, KINDS.index(self.kind), self.id


@dataclass(frozen=True)
class Unsearched:
    """A kind of thing that could not be looked for in a region, and why."""

    region: str
    kind: str
    why: str


def tags_of(found: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """AWS's list of tags as a mapping; `Key` and `Value` as EC2, S3 and IAM spell them."""
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in found or ()}


def is_ours(tags: Mapping[str, str], stack: str | None) -> bool:
    """Whether these are tags of the project, and of the stack where one is named."""
    return tags.get(PROJECT_TAG) == PROJECT and stack in (None, tags.get(STACK_TAG))


def cli(*words: str, region: str = "") -> str:
    """An AWS command line."""
    return shlex.join(["aws", *words, *(["--region", region] if region else [])])


def commands(leaks: Iterable[Leak]) -> list[str]:
    """What removes them all, to be typed in this order; each line once."""
    lines = [NO_PAGER]
    ordered = sorted(leaks, key=lambda leak: leak.order)
    for region, kind in dict.fromkeys((leak.region, leak.kind) for leak in ordered):
        same = [leak for leak in ordered if (leak.region, leak.kind) == (region, kind)]
        lines += [leak.before for leak in same if leak.before]
        lines += [leak.command for leak in same]
    return list(dict.fromkeys(lines))

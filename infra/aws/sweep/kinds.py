"""Kinds of resources that a stack may leave on AWS, in the order of deletion, and CLI commands. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Final

NO_PAGER: Final = "export AWS_PAGER="
"""Otherwise version 2 of the CLI pages each answer, and takes the next command for a key."""

KINDS: Final = (
    "Auto Scaling group",
    "spot request",
    "instance",
    "launch template",
    "NAT gateway",
    "VPC endpoint",
    "elastic address",
    "volume",
    "image",
    "snapshot",
    "network interface",
    "security group",
    "subnet",
    "route table",
    "internet gateway",
    "VPC",
    "placement group",
    "key pair",
    "log group",
    "parameter",
    "bucket",
    "instance profile",
    "role",
    "policy",
)
"""In the order in which they can be deleted: a group before the instances that it would replace …"""


def rank(kind: str) -> int:
    """Return the position of a kind in the order of deletion."""
    return KINDS.index(kind)


def tags_of(found: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Convert AWS's list of tags to a mapping; EC2, S3 and IAM all use `Key` and `Value`."""
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in found or ()}


def cli(*words: str, region: str = "") -> str:
    """Format an AWS CLI command."""
    return shlex.join(["aws", *words, *(["--region", region] if region else [])])

"""What a stack may leave on AWS, in the order of its removal, and how commands are written. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Final

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


def rank(kind: str) -> int:
    """When things of this kind can be removed."""
    return KINDS.index(kind)


def tags_of(found: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """AWS's list of tags as a mapping; `Key` and `Value` as EC2, S3 and IAM spell them."""
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in found or ()}


def cli(*words: str, region: str = "") -> str:
    """An AWS command line."""
    return shlex.join(["aws", *words, *(["--region", region] if region else [])])

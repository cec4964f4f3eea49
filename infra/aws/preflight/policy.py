"""The policy that docs/aws.md shows, as questions about one operator, stack and region. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.aws.document import log_group
from infra.aws.names import prefix

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

FILE: Final = Path(__file__).parents[1] / "policy.json"
"""Rights of who runs `pulumi up`, `fab` and `pulumi destroy`: the single source of docs and checks."""
SHOWN: Final = "docs/aws.md#rights"
NAMES: Final = "caffe-spark-*"
LOGS: Final = "caffe-spark/*"
"""Names in the policy's resources; the second of log groups."""
MAX_NAME: Final = 37

BOUNDARIES: Final = ("iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary")
"""Actions on roles that have a permissions boundary."""

WILDCARDS: Final[Mapping[str, tuple[str, ...]]] = {
    "ec2:Describe*": (
        *(
            "ec2:DescribeAddresses",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeImages",
            "ec2:DescribeInstances",
        ),
        *("ec2:DescribeInstanceAttribute", "ec2:DescribeInstanceTypes", "ec2:DescribeInternetGateways"),
        *("ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions", "ec2:DescribeNatGateways"),
        *("ec2:DescribeNetworkInterfaces", "ec2:DescribePlacementGroups", "ec2:DescribeRouteTables"),
        "ec2:DescribeSecurityGroups",
        *("ec2:DescribeSecurityGroupRules", "ec2:DescribeSubnets", "ec2:DescribeVolumes", "ec2:DescribeVpcs"),
        *("ec2:DescribeVpcAttribute", "ec2:DescribeVpcEndpoints"),
    ),
    "autoscaling:Describe*": (
        *("autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeLifecycleHooks"),
        "autoscaling:DescribeScalingActivities",
    ),
}
"""Actions with a wildcard → those that the stack takes: IAM's simulation knows no wildcards."""

_NEEDED: Final[Mapping[str, Callable[[AwsConfig], bool]]] = {
    "FlowLogs": lambda config: config.flow_logs,
    "LogGroups": lambda config: config.flow_logs or config.cloud_logs is not None,
    "ReadLogs": lambda config: config.cloud_logs is not None,
    "Sessions": lambda config: not config.admin_cidrs,
    "OwnSessions": lambda config: not config.admin_cidrs,
    "NewestImages": lambda config: not (config.head_ami and config.worker_ami),
    "Placement": lambda config: config.placement_group,
    "VolumeKey": lambda config: config.kms_key is not None,
    "Roles": lambda config: config.creates_roles,
    "Profiles": lambda config: config.instance_profiles is None,
    # Those of a company have names that are not known here.
    "RolesOfMachines": lambda config: config.instance_profiles is None or config.flow_logs,
    # Only `fab preflight` and `fab cost --refresh` do: without these, they say what they could not ask.
    "Checks": lambda _: False,
    # Only `fab bake-image` does.
    "BakedImages": lambda _: False,
}
"""Statement → whether a stack needs it; the others it always does."""
_ELSEWHERE: Final = frozenset({"VolumeKey"})
"""Statements whose resources have policies of their own, which may allow what the operator's do not."""


@dataclass(frozen=True)
class Question:
    """May these actions be taken on that resource, in a request with these context keys?"""

    actions: tuple[str, ...]
    resource: str
    context: Mapping[str, str]
    certain: bool
    """False if the resource's own policy, which is not asked, may allow it all the same."""


@lru_cache(maxsize=1)
def document() -> Mapping[str, Any]:
    """Return the policy."""
    read: dict[str, Any] = json.loads(FILE.read_text())
    return read


def questions(config: AwsConfig, stack: str, account: str) -> list[Question]:
    """Return the questions whose answers this stack needs."""
    found = []
    for statement in document()["Statement"]:
        needed = _NEEDED.get(statement["Sid"])
        if needed is not None and not needed(config):
            continue
        actions = tuple(
            action
            for one in listed(statement["Action"])
            for action in WILDCARDS.get(one, (one,))
            if _is_taken(action, statement["Sid"], config)
        )
        context = {"aws:RequestedRegion": config.region, **_context(statement)}
        if statement["Sid"] == "Roles" and config.permissions_boundary:
            # A company may allow roles with its boundary alone.
            context["iam:PermissionsBoundary"] = config.permissions_boundary
        found += [
            Question(
                actions, _resource(one, config, stack, account), context, statement["Sid"] not in _ELSEWHERE
            )
            for one in listed(statement["Resource"])
        ]
    return found


def _is_taken(action: str, statement: str, config: AwsConfig) -> bool:
    """Return whether the stack takes the action: few in a given network, none of a boundary without one."""
    if action in BOUNDARIES:
        return config.permissions_boundary is not None
    if statement != "Network" or config.vpc is None:
        return True
    own_groups = config.security_groups is None or config.security_groups.additional
    return action.endswith("Tags") or ("SecurityGroup" in action and own_groups)


def listed(value: str | list[str]) -> list[str]:
    """Return a policy's value, which may be a text or a list, as a list."""
    return [value] if isinstance(value, str) else value


def _context(statement: Mapping[str, Any]) -> dict[str, str]:
    """Return context keys that meet the statement's conditions, all of which are StringEquals."""
    wanted = statement.get("Condition", {}).get("StringEquals", {})
    return {key: listed(values)[0] for key, values in wanted.items()}


def _resource(pattern: str, config: AwsConfig, stack: str, account: str) -> str:
    """Return an ARN of the stack's that the pattern matches, as far as it can be known in advance."""
    if pattern == "*":
        return pattern
    if ":kms:" in pattern and config.kms_key and config.kms_key.startswith("arn:"):
        return config.kms_key
    parts = pattern.split(":", 5)
    parts[3] = config.region if parts[3] == "*" else parts[3]
    parts[4] = account if parts[4] == "*" else parts[4]
    parts[5] = parts[5].replace(NAMES, f"{prefix(stack, '', MAX_NAME)}1").replace(LOGS, log_group(stack))
    return ":".join(parts)

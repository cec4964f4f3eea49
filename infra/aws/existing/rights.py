"""Policies that the roles of a company's instance profiles must have, and the questions that test them. Pure.

They are those that the stack gives its own roles, for names that are not known yet: the bucket and the jobs'
role end in 26 characters that the provider chooses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from infra.aws import identity
from infra.aws.document import group_name, log_group
from infra.aws.names import prefix
from infra.aws.roles import MAX_ROLE_PREFIX
from infra.aws.storage import MAX_PREFIX

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

Role = Literal["head", "worker", "job"]
Document = dict[str, Any]

ANY: Final = "?" * 26
"""The unique end of a name; in a policy, a question mark is any one character."""
_SOME: Final = "0" * 26
_USER: Final = "${aws:userid}"


@dataclass(frozen=True)
class Question:
    """A statement as IAM's simulator takes it."""

    actions: Sequence[str]
    resources: Sequence[str]
    context: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Key → its type and value."""


def needed(config: AwsConfig, stack: str, role: Role) -> Document:
    """Return the policy of a role."""
    bucket = f"arn:aws:s3:::{prefix(stack, '', MAX_PREFIX)}{ANY}"
    if role == "job":
        return identity.job_policy(bucket)
    group = (
        f"arn:aws:autoscaling:{config.region}:*:autoScalingGroup:*:autoScalingGroupName/{group_name(stack)}"
    )
    own: tuple[Document, ...]
    if role == "head":
        own = (identity.head_policy(bucket), identity.stop_policy(group))
        if config.fallback_after is not None:
            own = (*own, identity.fallback_policy(group))
    else:
        own = (identity.worker_policy(bucket), identity.lifecycle_policy(group))
    if config.cloud_logs:
        own = (*own, identity.logs_policy(f"arn:aws:logs:{config.region}:*:log-group:{log_group(stack)}"))
    jobs = identity.assume_policy(_job_role(config, stack))
    return {**own[0], "Statement": [one for each in (*own, jobs) for one in each["Statement"]]}


def questions(policy: Document, role_id: str) -> Iterator[Question]:
    """Yield what the policy's statements allow, of one instance of the role with that id."""
    user = f"{role_id}:i-00000000000000000"
    for statement in policy["Statement"]:
        resources = [
            _concrete(one).replace(_USER, user) for one in _listed(statement["Resource"]) if one != "*"
        ]
        context = {"aws:userid": ("string", user)}
        for keys in statement.get("Condition", {}).get("NumericEquals", {}).items():
            context[keys[0]] = ("numeric", keys[1])
        yield Question(_listed(statement["Action"]), resources or ["*"], context)


def printed(config: AwsConfig, stack: str) -> str:
    """Return the policies as one JSON document: by role, and the trust identity."""
    given = config.instance_profiles
    machines = [
        f"arn:aws:iam::ACCOUNT:role/ROLE_OF_{profile}"
        for profile in ((given.head, given.worker) if given else ("HEAD_PROFILE", "WORKER_PROFILE"))
    ]
    roles: dict[Role, Document] = {"head": identity.ASSUME, "worker": identity.ASSUME}
    document = {
        role: {"trust": trust, "policy": needed(config, stack, role)} for role, trust in roles.items()
    }
    document["job"] = {"trust": identity.job_trust(machines), "policy": needed(config, stack, "job")}
    return json.dumps(document, indent=2)


def _job_role(config: AwsConfig, stack: str) -> str:
    given = config.instance_profiles.job_role if config.instance_profiles else None
    return given or f"arn:aws:iam::*:role/{prefix(stack, 'job', MAX_ROLE_PREFIX)}{ANY}"


def _concrete(resource: str) -> str:
    """Return a resource of that pattern."""
    region_and_account = resource.replace(":*:autoScalingGroup:*:", ":123456789012:autoScalingGroup:0:")
    account = region_and_account.replace("::*:role/", "::123456789012:role/")
    account = account.replace(":*:log-group:", ":123456789012:log-group:")
    return account.replace(ANY, _SOME).replace("*", "x")


def _listed(one: str | Sequence[str]) -> list[str]:
    return [one] if isinstance(one, str) else list(one)

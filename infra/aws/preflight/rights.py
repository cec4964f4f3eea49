"""Check of the operator's rights: IAM's simulation of the policy in docs/aws.md, else dry runs of EC2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from bootstrap.clouds import aws
from infra.aws.preflight import dry_run, policy
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.policy import SHOWN, Question
from infra.aws.volume_key import SERVICE_ROLE
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

NAME: Final = "rights"
FIX: Final = f"Ask an administrator to allow them; {SHOWN} has the whole policy."
GONE: Final = "NoSuchEntity"
REFUSED: Final = (GONE, "InvalidInput", "PolicyEvaluation")
"""Errors of a simulation that say nothing of rights:
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html"""
SSO: Final = "AWSReservedSSO_"
"""Prefix of the roles of IAM Identity Center, whose path has the region that only GetRole knows."""
FIRST_GROUP: Final = "iam:CreateServiceLinkedRole"


@dataclass(frozen=True)
class Refusal:
    """An action that the simulation denies; `depends` are context keys that only a real request has."""

    action: str
    resource: str
    why: str
    depends: tuple[str, ...]
    certain: bool

    def __str__(self) -> str:
        where = "" if self.resource == "*" else f" on {self.resource.split(':', 5)[-1]}"
        return f"{self.action}{where}{self.why}"


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check."""
    return [CloudCheck(NAME, lambda cloud: [_rights(cloud, config, stack)])]


def _rights(cloud: Cloud, config: AwsConfig, stack: str) -> Finding:
    if not cloud.caller:
        return Finding(NAME, "skipped", "who is asking is not known")
    account, who = cloud.caller.split(":")[4], cloud.caller.split(":", 5)[5]
    if who == "root":
        return Finding(NAME, "passed", "the account's root user may do everything")
    source = _principal(cloud)
    if source:
        try:
            asked = policy.questions(config, stack, account)
            found = [refusal for question in asked for refusal in _simulate(cloud, source, question)]
        except (aws.Denied, _NotSimulated):
            return dry_run.look(cloud, config, stack, NAME)
        return _judge(_without_first_group(cloud, found), len({a for one in asked for a in one.actions}), who)
    return dry_run.look(cloud, config, stack, NAME)


class _NotSimulated(Exception):
    """IAM knows no user or role of that ARN, or does not simulate such a question."""


def _principal(cloud: Cloud) -> str:
    """Return the ARN of the user or role whose policies are simulated; empty for callers without one.

    A session's ARN has the name of its role without the role's path.
    """
    start, who = cloud.caller.rsplit(":", 1)
    kind, _, name = who.partition("/")
    if kind == "user":
        return cloud.caller
    if kind != "assumed-role":
        return ""
    role = name.partition("/")[0]
    try:
        with aws.translate_errors(f"looking for role {role}"):
            try:
                return cloud.iam.get_role(RoleName=role)["Role"]["Arn"]
            except ClientError as error:
                if aws.code_of(error) == GONE:
                    return ""
                raise
    except aws.Denied:
        return "" if role.startswith(SSO) else f"{start.replace(':sts:', ':iam:')}:role/{role}"


def _simulate(cloud: Cloud, source: str, question: Question) -> list[Refusal]:
    """Return the actions that are denied.

    Raises:
        Denied: permission iam:SimulatePrincipalPolicy is missing.
        _NotSimulated: there is no such user or role, or IAM refuses the question.
        ServiceDown: AWS does not answer.
    """
    with aws.translate_errors("simulating the operator's policies"):
        pages = cloud.iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=source,
            ActionNames=list(question.actions),
            ResourceArns=[question.resource],
            ContextEntries=[
                {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
                for key, value in question.context.items()
            ],
        )
        try:
            results: list[Any] = [result for page in pages for result in page["EvaluationResults"]]
        except ClientError as error:
            if aws.code_of(error) in REFUSED:
                raise _NotSimulated from error
            raise
    return [_refusal(result, question) for result in results if result["EvalDecision"] != "allowed"]


def _refusal(result: Any, question: Question) -> Refusal:  # noqa: ANN401 - a dictionary of AWS's
    why = ""
    if result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations") is False:
        why = " (denied by a policy of the organization)"
    elif result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary") is False:
        why = " (beyond the permissions boundary)"
    elif result["EvalDecision"] == "explicitDeny":
        why = " (explicitly denied)"
    return Refusal(
        result["EvalActionName"],
        question.resource,
        why,
        tuple(sorted(result.get("MissingContextValues", []))),
        question.certain,
    )


def _without_first_group(cloud: Cloud, found: Sequence[Refusal]) -> list[Refusal]:
    """Drop the right to create Auto Scaling's role where the account has that role, as most have."""
    if all(one.action != FIRST_GROUP for one in found):
        return list(found)
    try:
        with aws.translate_errors(f"looking for role {SERVICE_ROLE}"):
            try:
                cloud.iam.get_role(RoleName=SERVICE_ROLE)
            except ClientError as error:
                if aws.code_of(error) == GONE:
                    return list(found)
                raise
    except aws.Denied:
        return list(found)
    return [one for one in found if one.action != FIRST_GROUP]


def _judge(found: Sequence[Refusal], asked: int, who: str) -> Finding:
    """Return the finding: a refusal that depends on the request, or on another policy, is none yet. Pure."""
    missing = [one for one in found if one.certain and not one.depends]
    if missing:
        return Finding(NAME, "failed", f"{who} lacks {_listed(missing)}", FIX)
    if found:
        keys = sorted({key for one in found for key in one.depends})
        by = (
            f"it depends on {', '.join(keys)}"
            if keys
            else "the key's own policy decides, which is not simulated"
        )
        return Finding(NAME, "note", f"{who} may lack {_listed(found)}: {by}", FIX)
    return Finding(NAME, "passed", f"{who} has the {asked} rights that the stack needs, by IAM's simulation")


def _listed(found: Iterable[Refusal]) -> str:
    return ", ".join(dict.fromkeys(map(str, found)))

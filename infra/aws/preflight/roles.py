"""Checks of the company's instance profiles and permissions boundary against what the machines do.

IAM's simulator is asked where the credentials may; it knows policies and boundaries, not those of the
organization or of endpoints.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from bootstrap.clouds import aws
from infra.aws.existing import profiles
from infra.aws.preflight.cloud import Cloud
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.aws.existing import Profiles
    from infra.aws.existing.rights import Question, Role
    from infra.aws.settings.config import AwsConfig
    from infra.aws.settings.existing import InstanceProfiles

PROFILES: Final = "instance profiles"
BOUNDARY: Final = "permissions boundary"
MISSING: Final = "NoSuchEntity"
REFUSED: Final = (MISSING, "InvalidInput", "PolicyEvaluation")
"""Errors of a simulation that say nothing of rights:
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html (read 2026-11)"""
SHOWN: Final = 4

Simulate = Callable[["Question"], list[dict[str, Any]]]
"""Question → results of the simulator."""


class NotSimulated(Exception):
    """IAM does not simulate such a question."""


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the checks of what is given; none otherwise."""
    given, boundary = config.instance_profiles, config.permissions_boundary
    found: list[CloudCheck[Cloud]] = []
    if given:
        found.append(CloudCheck(PROFILES, lambda cloud: _profiles(cloud, config, given, stack)))
    if boundary:
        found.append(CloudCheck(BOUNDARY, lambda cloud: [_boundary(cloud, config, boundary, stack)]))
    return found


def _profiles(cloud: Cloud, config: AwsConfig, given: InstanceProfiles, stack: str) -> list[Finding]:
    found = profiles.look_up(cloud.iam, given, stack)
    findings = []
    if found.head.role_arn == found.worker.role_arn:
        why = f"head and workers have the same role, {found.head.role_name}: each may do what the other may"
        findings.append(Finding(PROFILES, "note", why, "Name two: instanceProfiles.head and .worker."))
    if wrong := _distrust(cloud, found):
        return [*findings, wrong]
    try:
        lacking = [line for one in _roles(found) for line in _denied(cloud, config, stack, one)]
    except (aws.Denied, NotSimulated) as error:
        print_them = f"Compare them with what `fab role-policies --stack {stack}` prints."
        return [*findings, Finding(PROFILES, "skipped", f"their rights: {_why(error)}", print_them)]
    if lacking:
        print_them = f"Run `fab role-policies --stack {stack}`: it prints the policies for their owner."
        return [*findings, Finding(PROFILES, "failed", f"they do not allow {_listed(lacking)}", print_them)]
    names = ", ".join(dict.fromkeys((found.head.name, found.worker.name)))
    return [*findings, Finding(PROFILES, "passed", f"{names}: their roles allow what machines do")]


def _roles(found: Profiles) -> Iterator[tuple[Role, str, str]]:
    yield "head", found.head.role_arn, found.head.role_id
    yield "worker", found.worker.role_arn, found.worker.role_id
    if found.job_role:
        yield "job", found.job_role, found.head.role_id


def _distrust(cloud: Cloud, found: Profiles) -> Finding | None:
    """Return what is wrong with the trust policy of the jobs' role, which machines assume for jobs."""
    if found.job_role is None:
        return None
    account, name = found.job_role.split(":")[4], found.job_role.rpartition("/")[2]
    with aws.translate_errors(f"reading the role {name}"):
        try:
            document: Any = cloud.iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        except ClientError as error:
            if aws.code_of(error) != MISSING:
                raise
            why = f"this account has no role {found.job_role} (jobRole)"
            return Finding(
                PROFILES, "failed", why, "Name an existing one, or leave instanceProfiles.jobRole out."
            )
    trusted = {
        one
        for statement in document.get("Statement", ())
        for one in _list(statement.get("Principal", {}).get("AWS", ()))
    }
    everybody = {account, f"arn:aws:iam::{account}:root", "*"}
    distrusted = [arn for arn in (found.head.role_arn, found.worker.role_arn) if arn not in trusted]
    if not distrusted or trusted & everybody:
        return None
    return Finding(
        PROFILES,
        "failed",
        f"{found.job_role} (jobRole) does not trust {', '.join(distrusted)}, which assume it for jobs",
        f"Ask its owner to add them as principals: `aws iam update-assume-role-policy --role-name {name} "
        "--policy-document file://trust.json`.",
    )


def _list(one: str | Sequence[str]) -> Sequence[str]:
    return [one] if isinstance(one, str) else one


def _denied(cloud: Cloud, config: AwsConfig, stack: str, one: tuple[Role, str, str]) -> list[str]:
    from infra.aws.existing.rights import needed, questions  # imports Pulumi, which takes a second

    role, arn, role_id = one

    def ask(question: Question) -> list[dict[str, Any]]:
        pages = cloud.iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=arn, **_asked(question)
        )
        return _results(pages)

    with aws.translate_errors(f"simulating what {arn} may do"):
        return _refused(ask, questions(needed(config, stack, role), role_id), f"the {role}'s role")


def _boundary(cloud: Cloud, config: AwsConfig, boundary: str, stack: str) -> Finding:
    iam = cloud.iam
    with aws.translate_errors(f"reading {boundary}"):
        try:
            version = iam.get_policy(PolicyArn=boundary)["Policy"]["DefaultVersionId"]
        except ClientError as error:
            if aws.code_of(error) != MISSING:
                raise
            return Finding(
                BOUNDARY,
                "failed",
                f"this account has no policy {boundary}",
                f"Run `pulumi config set permissionsBoundary ARN --stack {stack}`.",
            )
        document = iam.get_policy_version(PolicyArn=boundary, VersionId=version)["PolicyVersion"]["Document"]
    try:
        lacking = _beyond(cloud, config, stack, json.dumps(document))
    except (aws.Denied, NotSimulated) as error:
        return Finding(BOUNDARY, "passed", f"{boundary} exists; what it allows is not known: {_why(error)}")
    if lacking:
        fix = f"Ask for another one; `fab role-policies --stack {stack}` prints what machines do."
        return Finding(BOUNDARY, "failed", f"{boundary} does not allow {_listed(lacking)}", fix)
    return Finding(BOUNDARY, "passed", f"{boundary} allows what machines do")


def _beyond(cloud: Cloud, config: AwsConfig, stack: str, boundary: str) -> list[str]:
    from infra.aws.existing.rights import needed, questions

    given = config.instance_profiles
    roles: list[Role] = ["job"] if given is None or given.job_role is None else []
    if given is None:
        roles += ["head", "worker"]
    found = []
    for role in roles:
        policy = needed(config, stack, role)

        def ask(question: Question, policy: dict[str, Any] = policy) -> list[dict[str, Any]]:
            pages = cloud.iam.get_paginator("simulate_custom_policy").paginate(
                PolicyInputList=[json.dumps(policy)],
                PermissionsBoundaryPolicyInputList=[boundary],
                **_asked(question),
            )
            return _results(pages)

        with aws.translate_errors("simulating the permissions boundary"):
            found += _refused(ask, questions(policy, "AROAEXAMPLE"), f"the {role}'s role")
    return found


def _results(pages: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the simulator's results.

    Raises:
        NotSimulated: IAM refuses the question.
    """
    try:
        return [dict(one) for page in pages for one in page["EvaluationResults"]]
    except ClientError as error:
        if aws.code_of(error) in REFUSED:
            raise NotSimulated(f"IAM does not simulate them ({aws.code_of(error)})") from error
        raise


def _why(error: aws.Denied | NotSimulated) -> str:
    return error.why if isinstance(error, aws.Denied) else str(error)


def _asked(question: Question) -> dict[str, Any]:
    return {
        "ActionNames": list(question.actions),
        "ResourceArns": list(question.resources),
        "ContextEntries": [
            {"ContextKeyName": key, "ContextKeyType": kind, "ContextKeyValues": [value]}
            for key, (kind, value) in question.context.items()
        ],
    }


def _refused(ask: Simulate, asked: Iterator[Question], whom: str) -> list[str]:
    """Return a text for each action that the simulator refuses."""
    refused: dict[str, str] = {}
    for question in asked:
        for result in ask(question):
            # With a value missing, IAM could not decide.
            if result["EvalDecision"] != "allowed" and not result.get("MissingContextValues"):
                refused.setdefault(result["EvalActionName"], result.get("EvalResourceName", "*"))
    return [f"{whom} {action} on {resource}" for action, resource in refused.items()]


def _listed(lines: Sequence[str]) -> str:
    """Join the first lines, and count the others."""
    more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return "; ".join(lines[:SHOWN]) + more

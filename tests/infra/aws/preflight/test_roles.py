"""Preflight of the company's instance profiles and permissions boundary, by IAM's simulator."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.aws.preflight import roles
from infra.aws.preflight.cloud import Cloud
from infra.aws.settings.config import AwsConfig
from infra.preflight.finding import Finding
from tests.infra.aws.given import given_profile
from tests.infra.aws.preflight.conftest import STACK, Account, config

PROFILES = {"head": "team-head", "worker": "team-worker"}
ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def simulator(
    refused: Callable[[str, str], bool] = lambda *_: False,
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """IAM's simulator, which refuses some actions on some resources."""

    def simulate(asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": "implicitDeny" if refused(action, resource) else "allowed",
                }
                for action in asked["ActionNames"]
                for resource in asked["ResourceArns"]
            ],
            "IsTruncated": False,
        }

    return simulate


def found(stack: AwsConfig, cloud: Cloud) -> list[Finding]:
    return [finding for one in roles.checks(stack, STACK) for finding in one.ask(cloud)]


@pytest.fixture
def given(account: Account) -> AwsConfig:
    for name in PROFILES.values():
        given_profile(name)
    account.answers["SimulatePrincipalPolicy"] = simulator()
    return config(instanceProfiles=PROFILES)


def test_roles_that_allow_everything_pass(given: AwsConfig, cloud: Cloud) -> None:
    (finding,) = found(given, cloud)
    assert (finding.name, finding.verdict) == ("instance profiles", "passed")
    assert "team-head, team-worker" in finding.detail


def test_each_role_is_asked_for_what_its_machines_do(
    given: AwsConfig, cloud: Cloud, account: Account
) -> None:
    asked: list[tuple[str, str]] = []

    def record(request: dict[str, Any]) -> dict[str, Any]:
        asked.extend((request["PolicySourceArn"].rpartition("/")[2], one) for one in request["ActionNames"])
        return simulator()(request)

    account.answers["SimulatePrincipalPolicy"] = record
    found(given, cloud)
    assert ("team-head-role", "autoscaling:UpdateAutoScalingGroup") in asked
    assert ("team-worker-role", "autoscaling:CompleteLifecycleAction") in asked
    assert ("team-worker-role", "autoscaling:UpdateAutoScalingGroup") not in asked
    assert {("team-head-role", "sts:AssumeRole"), ("team-worker-role", "sts:AssumeRole")} <= set(asked)


def test_a_right_that_is_missing_is_named_with_the_command_that_prints_the_policies(
    given: AwsConfig, cloud: Cloud, account: Account
) -> None:
    account.answers["SimulatePrincipalPolicy"] = simulator(lambda action, _: action == "s3:ListBucket")
    (finding,) = found(given, cloud)
    assert finding.verdict == "failed"
    assert "the head's role s3:ListBucket on arn:aws:s3:::caffe-spark-test-" in finding.detail
    assert "the worker's role s3:ListBucket" in finding.detail
    assert f"fab role-policies --stack {STACK}" in finding.fix


def test_many_missing_rights_are_counted(given: AwsConfig, cloud: Cloud, account: Account) -> None:
    account.answers["SimulatePrincipalPolicy"] = simulator(lambda *_: True)
    (finding,) = found(given, cloud)
    assert "more" in finding.detail
    assert finding.detail.count(" on ") == roles.SHOWN


def test_without_the_right_to_simulate_the_policies_are_to_be_compared(
    given: AwsConfig, cloud: Cloud, account: Account
) -> None:
    account.denies("SimulatePrincipalPolicy")
    (finding,) = found(given, cloud)
    assert finding.verdict == "skipped"
    assert f"fab role-policies --stack {STACK}" in finding.fix


@pytest.mark.parametrize("code", ["InvalidInput", "PolicyEvaluation", "NoSuchEntity"])
def test_a_question_that_iam_refuses_says_nothing_of_rights(
    given: AwsConfig, cloud: Cloud, account: Account, code: str
) -> None:
    account.refuses("SimulatePrincipalPolicy", code, "no")
    (finding,) = found(given, cloud)
    assert finding.verdict == "skipped"
    assert f"IAM does not simulate them ({code})" in finding.detail


def test_what_depends_on_a_value_that_is_missing_is_no_refusal(
    given: AwsConfig, cloud: Cloud, account: Account
) -> None:
    def undecided(asked: dict[str, Any]) -> dict[str, Any]:
        answer = simulator(lambda *_: True)(asked)
        for result in answer["EvaluationResults"]:
            result["MissingContextValues"] = ["aws:SourceVpc"]
        return answer

    account.answers["SimulatePrincipalPolicy"] = undecided
    (finding,) = found(given, cloud)
    assert finding.verdict == "passed"


def test_a_jobs_role_that_is_not_there_fails(account: Account, cloud: Cloud) -> None:
    for name in PROFILES.values():
        given_profile(name)
    job = "arn:aws:iam::123456789012:role/team-jobs"
    (finding,) = found(config(instanceProfiles={**PROFILES, "jobRole": job}), cloud)
    assert finding.verdict == "failed"
    assert f"no role {job} (jobRole)" in finding.detail


def test_a_profile_that_is_not_there_fails(account: Account, cloud: Cloud) -> None:
    (finding,) = found(config(instanceProfiles=PROFILES), cloud)
    assert finding.verdict == "failed"
    assert "this account has no such instance profile" in finding.detail


def test_one_role_for_both_is_noted(account: Account, cloud: Cloud) -> None:
    given_profile("team-head")
    given_profile("team-worker", role="team-head-role")
    account.answers["SimulatePrincipalPolicy"] = simulator()
    note, passed = found(config(instanceProfiles=PROFILES), cloud)
    assert (note.verdict, passed.verdict) == ("note", "passed")
    assert "the same role, team-head-role" in note.detail


def jobs_role(account: Account, *trusted: str) -> str:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": list(trusted)}, "Action": "sts:AssumeRole"}],
    }
    made = account.client("iam").create_role(
        RoleName="team-jobs", AssumeRolePolicyDocument=json.dumps(document)
    )
    return str(made["Role"]["Arn"])


def test_the_jobs_role_has_to_trust_both_machines(account: Account, cloud: Cloud) -> None:
    head, worker = (given_profile(name) for name in PROFILES.values())
    account.answers["SimulatePrincipalPolicy"] = simulator()
    job = jobs_role(account, head)
    (finding,) = found(config(instanceProfiles={**PROFILES, "jobRole": job}), cloud)
    assert finding.verdict == "failed"
    assert f"does not trust {worker}," in finding.detail
    assert "update-assume-role-policy --role-name team-jobs" in finding.fix


@pytest.mark.parametrize("whom", ["both", "account"])
def test_a_jobs_role_that_trusts_them_passes(account: Account, cloud: Cloud, whom: str) -> None:
    arns = [given_profile(name) for name in PROFILES.values()]
    account.answers["SimulatePrincipalPolicy"] = simulator()
    root = f"arn:aws:iam::{arns[0].split(':')[4]}:root"
    job = jobs_role(account, *(arns if whom == "both" else [root]))
    (finding,) = found(config(instanceProfiles={**PROFILES, "jobRole": job}), cloud)
    assert finding.verdict == "passed"


# The boundary


def boundary(account: Account) -> str:
    made = account.client("iam").create_policy(PolicyName="limits", PolicyDocument=json.dumps(ALL))
    return str(made["Policy"]["Arn"])


def test_a_boundary_that_allows_what_machines_do_passes(account: Account, cloud: Cloud) -> None:
    asked: list[dict[str, Any]] = []

    def record(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return simulator()(request)

    account.answers["SimulateCustomPolicy"] = record
    (finding,) = found(config(permissionsBoundary=boundary(account)), cloud)
    assert finding.verdict == "passed"
    assert {
        json.loads(one["PermissionsBoundaryPolicyInputList"][0])["Statement"][0]["Action"] for one in asked
    } == {"*"}


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (None, {"UpdateAutoScalingGroup", "CompleteLifecycleAction", "PutObject"}),
        (PROFILES, {"PutObject"}),
        ({**PROFILES, "jobRole": "arn:aws:iam::123456789012:role/team-jobs"}, set()),
    ],
    ids=["own roles", "given profiles", "flow logs alone"],
)
def test_a_boundary_is_held_against_the_roles_that_the_stack_creates(
    account: Account, cloud: Cloud, given: dict[str, str] | None, asked: set[str]
) -> None:
    actions: set[str] = set()

    def record(request: dict[str, Any]) -> dict[str, Any]:
        actions.update(one.partition(":")[2] for one in request["ActionNames"])
        return simulator()(request)

    account.answers["SimulateCustomPolicy"] = record
    stack = config(permissionsBoundary=boundary(account), instanceProfiles=given, flowLogs=True)
    assert "permissions boundary" in {one.name for one in found(stack, cloud)}
    probes = {"UpdateAutoScalingGroup", "CompleteLifecycleAction", "PutObject"}
    assert actions & probes == asked


def test_a_boundary_that_is_too_narrow_fails(account: Account, cloud: Cloud) -> None:
    account.answers["SimulateCustomPolicy"] = simulator(lambda action, _: action.startswith("ssmmessages:"))
    (finding,) = found(config(permissionsBoundary=boundary(account)), cloud)
    assert finding.verdict == "failed"
    assert "the head's role ssmmessages:CreateControlChannel on *" in finding.detail


def test_a_boundary_that_is_not_there_fails(account: Account, cloud: Cloud) -> None:
    arn = "arn:aws:iam::123456789012:policy/nosuch"
    (finding,) = found(config(permissionsBoundary=arn), cloud)
    assert finding.verdict == "failed"
    assert f"this account has no policy {arn}" in finding.detail


def test_without_the_right_to_simulate_a_boundary_is_known_to_exist(account: Account, cloud: Cloud) -> None:
    account.denies("SimulateCustomPolicy")
    (finding,) = found(config(permissionsBoundary=boundary(account)), cloud)
    assert finding.verdict == "passed"
    assert "not known" in finding.detail


def test_a_stack_with_roles_of_its_own_is_not_asked_about() -> None:
    assert roles.checks(config(), STACK) == []

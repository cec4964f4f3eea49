"""The operator's rights: simulated where IAM allows it, else tried by dry runs."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID

from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.rights import checks
from infra.preflight.finding import Finding
from tests.infra.aws.preflight.conftest import CALLER, STACK, Account, answers, config

FIX = "Ask an administrator to allow them; docs/aws.md#rights has the whole policy."
ROLE = "arn:aws:iam::123456789012:role/team/platform"
SESSION = f"arn:aws:sts::{DEFAULT_ACCOUNT_ID}:assumed-role/platform/ann"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


def asked(cloud: Cloud, caller: str = CALLER, **values: Any) -> Finding:
    return answers(checks(config(**values), STACK), dataclasses.replace(cloud, caller=caller))["rights"]


def denied(**more: Any) -> dict[str, Any]:
    return {"EvalDecision": "implicitDeny", **more}


def test_a_user_with_every_right_passes(cloud: Cloud, account: Account) -> None:
    found = asked(cloud)
    assert found.verdict == "passed"
    assert found.detail.startswith("user/ops has the ")
    assert {one["PolicySourceArn"] for one in account.simulated} == {CALLER}


def test_every_right_that_is_missing_is_named(cloud: Cloud, account: Account) -> None:
    account.verdicts = {"ec2:CreateVpc": denied(), "iam:CreateRole": denied()}
    found = asked(cloud)
    assert found.failed
    assert found.detail == ("user/ops lacks ec2:CreateVpc, iam:CreateRole on role/caffe-spark-test-1")
    assert found.fix == FIX


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        ({"EvalDecision": "explicitDeny"}, "explicitly denied"),
        (
            denied(OrganizationsDecisionDetail={"AllowedByOrganizations": False}),
            "denied by a policy of the organization",
        ),
        (
            denied(PermissionsBoundaryDecisionDetail={"AllowedByPermissionsBoundary": False}),
            "beyond the permissions boundary",
        ),
    ],
)
def test_what_takes_a_right_away_is_said(
    verdict: dict[str, Any], why: str, cloud: Cloud, account: Account
) -> None:
    account.verdicts = {"ec2:CreateVpc": verdict}
    assert asked(cloud).detail == f"user/ops lacks ec2:CreateVpc ({why})"


def test_a_refusal_that_depends_on_the_request_is_worth_a_note(cloud: Cloud, account: Account) -> None:
    account.verdicts = {"ec2:RunInstances": denied(MissingContextValues=["aws:MultiFactorAuthPresent"])}
    found = asked(cloud)
    assert found.verdict == "note"
    assert found.detail == "user/ops may lack ec2:RunInstances: it depends on aws:MultiFactorAuthPresent"


def test_the_keys_own_policy_may_allow_what_the_operators_does_not(cloud: Cloud, account: Account) -> None:
    account.verdicts = {"kms:CreateGrant": denied()}
    key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    found = asked(cloud, kmsKey=key)
    assert found.verdict == "note"
    assert "the key's own policy decides" in found.detail
    assert [one["ResourceArns"] for one in account.simulated if "kms:CreateGrant" in one["ActionNames"]] == [
        [key]
    ]


@pytest.mark.parametrize("values", [{}, {"kmsKey": "alias/volumes", "kmsGrant": False}])
def test_only_a_stack_with_a_key_asks_for_rights_on_it(
    values: dict[str, Any], cloud: Cloud, account: Account
) -> None:
    asked(cloud, **values)
    actions = {action for one in account.simulated for action in one["ActionNames"]}
    assert ("kms:Decrypt" in actions) is bool(values)


@pytest.mark.parametrize(
    ("values", "action"),
    [
        ({"flowLogs": True}, "ec2:CreateFlowLogs"),
        ({}, "ssm:StartSession"),
        ({"headAmi": "ami-0123456789abcdef0"}, "ssm:GetParameter"),
    ],
)
def test_rights_that_only_some_stacks_need_are_asked_for_those(
    values: dict[str, Any], action: str, cloud: Cloud, account: Account
) -> None:
    account.verdicts = {action: denied()}
    assert action in asked(cloud, **values).detail
    both = {"headAmi": "ami-0123456789abcdef0", "workerAmi": "ami-0123456789abcdef1"}
    assert asked(cloud, adminCidrs=["203.0.113.7/32"], **both).verdict == "passed"


def test_conditions_of_the_policy_are_met_in_the_simulation(cloud: Cloud, account: Account) -> None:
    asked(cloud)
    (passing,) = [one for one in account.simulated if one["ActionNames"] == ["iam:PassRole"]]
    entries = {one["ContextKeyName"]: one["ContextKeyValues"] for one in passing["ContextEntries"]}
    assert entries == {"aws:RequestedRegion": ["eu-west-1"], "iam:PassedToService": ["ec2.amazonaws.com"]}


def test_no_wildcard_is_asked_about(cloud: Cloud, account: Account) -> None:
    asked(cloud, flowLogs=True, kmsKey="alias/volumes")
    actions = [action for one in account.simulated for action in one["ActionNames"]]
    assert not [action for action in actions if "*" in action], "IAM takes none"
    assert "ec2:DescribeVpcs" in actions


def test_an_account_that_has_auto_scalings_role_needs_no_right_to_make_it(
    cloud: Cloud, account: Account
) -> None:
    account.verdicts = {"iam:CreateServiceLinkedRole": denied()}
    assert "iam:CreateServiceLinkedRole" in asked(cloud).detail
    account.client("iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    assert asked(cloud).verdict == "passed"


def test_a_sessions_role_is_simulated_with_the_roles_own_path(cloud: Cloud, account: Account) -> None:
    account.client("iam").create_role(RoleName="platform", Path="/team/", AssumeRolePolicyDocument=TRUST)
    assert asked(cloud, SESSION).verdict == "passed"
    assert {one["PolicySourceArn"] for one in account.simulated} == {ROLE}


def test_a_role_that_may_not_look_at_itself_is_taken_for_one_without_a_path(
    cloud: Cloud, account: Account
) -> None:
    account.refuses("GetRole", "AccessDenied")
    assert asked(cloud, SESSION).verdict == "passed"
    assert {one["PolicySourceArn"] for one in account.simulated} == {ROLE.replace("team/", "")}


@pytest.mark.parametrize(
    "caller",
    [
        f"arn:aws:sts::{DEFAULT_ACCOUNT_ID}:assumed-role/AWSReservedSSO_Admins_0123456789abcdef/ann",
        f"arn:aws:sts::{DEFAULT_ACCOUNT_ID}:federated-user/ann",
    ],
)
def test_callers_without_policies_that_could_be_simulated_are_tried_by_dry_runs(
    caller: str, cloud: Cloud, account: Account
) -> None:
    account.refuses("GetRole", "AccessDenied")
    found = asked(cloud, caller)
    assert account.simulated == []
    assert found.verdict == "note"
    assert "ec2:CreateVpc, ec2:CreateInternetGateway, ec2:AllocateAddress" in found.detail


@pytest.mark.parametrize("code", ["NoSuchEntity", "InvalidInput", "PolicyEvaluation"])
def test_a_simulation_that_iam_refuses_says_nothing_of_rights(
    code: str, cloud: Cloud, account: Account
) -> None:
    account.refuses("SimulatePrincipalPolicy", code)
    assert "dry runs" in asked(cloud).detail


def test_the_root_user_is_not_asked_about(cloud: Cloud, account: Account) -> None:
    found = asked(cloud, f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:root")
    assert found.verdict == "passed"
    assert account.simulated == []


def test_who_is_not_known_is_not_judged(cloud: Cloud) -> None:
    assert asked(cloud, "").verdict == "skipped"


def test_throttling_of_a_simulation_is_not_taken_for_an_answer(cloud: Cloud, account: Account) -> None:
    account.refuses("SimulatePrincipalPolicy", "Throttling", "Rate exceeded")
    found = asked(cloud)
    assert found.failed
    assert "throttles" in found.detail


# Dry runs


def test_without_a_simulation_what_was_not_asked_is_said(cloud: Cloud, account: Account) -> None:
    account.denies("SimulatePrincipalPolicy")
    found = asked(cloud)
    assert found.verdict == "note"
    assert found.detail.startswith("ec2:CreateVpc, ec2:CreateInternetGateway, ec2:AllocateAddress,")
    assert "rights of IAM, S3 and Auto Scaling cannot be tried" in found.detail
    assert found.fix == "Compare them with the policy of docs/aws.md#rights."
    assert account.changes == []


def test_a_dry_run_that_is_refused_names_the_action(cloud: Cloud, account: Account) -> None:
    account.denies("SimulatePrincipalPolicy")
    message = (
        f"You are not authorized to perform this operation. User: {CALLER} is not authorized to perform: "
        "ec2:CreateTags because no identity-based policy allows the ec2:CreateTags action"
    )
    account.refuses("CreateVpc", "UnauthorizedOperation", message)
    found = asked(cloud)
    assert found.failed
    assert "lack ec2:CreateTags (no identity-based policy allows the ec2:CreateTags action);" in found.detail
    assert found.fix == FIX


def test_a_dry_run_that_fails_for_another_reason_leaves_the_right_open(
    cloud: Cloud, account: Account
) -> None:
    account.denies("SimulatePrincipalPolicy")
    account.refuses("CreateSecurityGroup", "VPCIdNotSpecified", "No default VPC for this user")
    found = asked(cloud)
    assert found.verdict == "note"
    assert "; no answer for ec2:CreateSecurityGroup;" in found.detail


def test_a_dry_run_that_is_taken_for_a_real_one_is_no_answer(cloud: Cloud, account: Account) -> None:
    account.denies("SimulatePrincipalPolicy")
    account.answers["CreateVpc"] = lambda _: {"Vpc": {}}
    assert "; no answer for ec2:CreateVpc;" in asked(cloud).detail


def test_an_address_is_tried_only_where_the_stack_needs_one(cloud: Cloud, account: Account) -> None:
    account.denies("SimulatePrincipalPolicy")
    asked(cloud, egress="endpoints")
    assert "AllocateAddress" not in account.asked


def test_every_try_is_a_dry_run(cloud: Cloud, account: Account) -> None:
    account.denies("SimulatePrincipalPolicy")

    def dry(asked: dict[str, Any]) -> dict[str, Any]:
        assert asked["DryRun"] is True
        raise ClientError({"Error": {"Code": "DryRunOperation", "Message": "It would have."}}, "any")

    tried = ("CreateVpc", "CreateInternetGateway", "AllocateAddress", "CreateLaunchTemplate", "RunInstances")
    account.answers.update(dict.fromkeys((*tried, "CreateSecurityGroup"), dry))
    asked(cloud, headAmi="ami-0123456789abcdef0")
    assert set(tried) <= set(account.asked)

"""The policy of docs/aws.md: one source, small enough for IAM, and enough for what the stack registers."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.aws.preflight import policy
from infra.aws.settings.config import AwsConfig
from tests.infra.aws.conftest import AwsProgram, Recording

ROOT = Path(__file__).resolve().parents[4]
MAX_CHARACTERS = 6144
"""Of a managed policy, without white space:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
ALLOWED = {
    action for statement in policy.document()["Statement"] for action in policy.listed(statement["Action"])
}


Actions = dict[str, list[str]]
_TABLES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("actions.yaml").read_text())
NEEDED: dict[str, Actions] = _TABLES["resources"]
CALLS: dict[str, Actions] = _TABLES["calls"]
RECORDED: Actions = _TABLES["recorded"]
WITHOUT = {
    "iam:GetUser": "how the provider first tries to learn the account's number; without it, it asks STS",
    "s3:HeadBucket": "a call, whose action is s3:ListBucket",
}
"""Recorded, and not needed."""

VARIANTS: tuple[dict[str, str], ...] = (
    {},
    {"egress": "endpoints", "flowLogs": "true"},
    {"adminCidrs": '["203.0.113.7/32"]', "onDemandBase": "1"},
    {"kmsKey": "alias/volumes"},
    {"fallbackAfter": "10 min"},
    {"egress": "endpoints", "cloudLogs": "true"},
    {"placementGroup": "true", "efa": "true", "zones": '["eu-west-1a"]', "instanceTypes": '["g5.8xlarge"]'},
)


def actions(listed: Actions) -> Iterator[str]:
    return (f"{service}:{name}" for service, names in listed.items() for name in names)


def allowed(action: str) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in ALLOWED)


@cache
def recorded(variant: int) -> Recording:
    return AwsProgram([]).run(None, **VARIANTS[variant])


def test_the_documents_policy_is_the_file() -> None:
    text = (ROOT / "docs" / "aws.md").read_text()
    shown = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert policy.FILE.read_text() in shown, "copy infra/aws/policy.json into docs/aws.md#rights"


def test_iam_takes_it_as_a_managed_policy() -> None:
    compact = json.dumps(policy.document(), separators=(",", ":"))
    assert len(compact) <= MAX_CHARACTERS


def test_its_statements_have_names_of_their_own_and_no_action_twice() -> None:
    names = [statement["Sid"] for statement in policy.document()["Statement"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9]+", name) for name in names)
    for statement in policy.document()["Statement"]:
        listed = policy.listed(statement["Action"])
        assert sorted(set(listed)) == sorted(listed)


def test_it_gives_nobody_the_account() -> None:
    for statement in policy.document()["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in policy.listed(statement["Action"]):
            service, name = action.split(":")
            assert "*" not in service
            assert "*" not in name or name == "Describe*"
            if service == "iam" and action != "iam:SimulatePrincipalPolicy":
                assert statement["Resource"] != "*", "only roles of the project's own"


@pytest.mark.parametrize("variant", range(len(VARIANTS)))
def test_it_covers_every_resource_that_a_stack_registers(variant: int) -> None:
    kinds = {one.type for one in recorded(variant).aws}
    assert kinds - set(NEEDED) == set(), "say which actions such a resource takes"
    missing = {action for kind in kinds for action in actions(NEEDED[kind]) if not allowed(action)}
    assert missing == set()


def test_it_covers_what_a_provider_asked_for_in_a_cross_check() -> None:
    assert {action for action in actions(RECORDED) if not allowed(action)} == set(WITHOUT)


def test_every_kind_of_resource_is_registered_by_a_variant() -> None:
    kinds = {one.type for variant in range(len(VARIANTS)) for one in recorded(variant).aws}
    assert set(NEEDED) - kinds == set(), "no longer needed: take it off the table"


@pytest.mark.parametrize("variant", range(len(VARIANTS)))
def test_names_of_roles_and_buckets_are_those_that_it_is_limited_to(variant: int) -> None:
    recording = recorded(variant)
    roles = recording.of("aws:iam/role:Role").values()
    profiles = recording.of("aws:iam/instanceProfile:InstanceProfile").values()
    assert all(one.inputs["namePrefix"].startswith("caffe-spark-") for one in (*roles, *profiles))
    bucket = recording.the("aws:s3/bucket:Bucket")
    assert bucket.inputs["bucketPrefix"].startswith("caffe-spark-")


@pytest.mark.parametrize("module", CALLS)
def test_it_covers_what_fab_asks_of_aws_itself(module: str) -> None:
    assert (ROOT / module).is_file()
    assert [action for action in actions(CALLS[module]) if not allowed(action)] == []


def _called(module: Path) -> set[str]:
    """Names of attributes that are called, and texts given to `get_paginator`, in SDK's spelling."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found.add(node.func.attr)
            if node.func.attr == "get_paginator" and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found


@pytest.mark.parametrize("module", CALLS)
def test_the_table_of_calls_names_what_the_module_calls(module: str) -> None:
    listed = {action.partition(":")[2].lower() for action in actions(CALLS[module])}
    verbs = (
        "describe_",
        "update_",
        "start_",
        "put_",
        "delete_object",
        "list_objects",
        "list_grants",
        "get_object",
    )
    for name in _called(ROOT / module):
        if not name.startswith(verbs) or name.endswith("_output"):
            continue
        spelt = name.replace("_", "")
        same = {"listobjectsv2": "listbucket", "listobjectversions": "listbucketversions"}
        spelt = same.get(spelt, spelt).removesuffix("s" if spelt == "deleteobjects" else "")
        assert spelt in listed, f"{module} calls {name}: say which action that is"


@pytest.mark.parametrize("wildcard", policy.WILDCARDS)
def test_a_wildcard_stands_for_actions_that_it_matches(wildcard: str) -> None:
    assert wildcard in ALLOWED
    assert policy.WILDCARDS[wildcard]
    assert all(fnmatchcase(action, wildcard) for action in policy.WILDCARDS[wildcard])


def test_no_wildcard_is_without_its_actions() -> None:
    assert {action for action in ALLOWED if "*" in action} == set(policy.WILDCARDS)


GIVEN = {
    "region": "eu-west-1",
    "vpc": "vpc-0123456789abcdef0",
    "subnets": {"head": "subnet-0aaaaaaaaaaaaaaaa", "workers": ["subnet-0bbbbbbbbbbbbbbbb"]},
}
GROUPS = {"head": ["sg-0aaaaaaaaaaaaaaaa"], "workers": ["sg-0bbbbbbbbbbbbbbbb"]}
PROFILES = {"head": "team-head", "worker": "team-worker"}
JOB = "arn:aws:iam::123456789012:role/team-jobs"
LIMITS = "arn:aws:iam::123456789012:policy/limits"


def asked(**values: object) -> dict[str, policy.Question]:
    config = AwsConfig.model_validate({**GIVEN, **values})
    questions = policy.questions(config, "test", "123456789012")
    return {action: one for one in questions for action in one.actions}


def test_in_a_given_network_no_right_is_asked_that_the_stack_does_not_take() -> None:
    names = {action for action in asked() if action.startswith("ec2:") and "Describe" not in action}
    assert not [name for name in names if re.search("Vpc|Subnet|Route|Gateway|Address", name)]
    assert {"ec2:CreateSecurityGroup", "ec2:CreateTags", "ec2:RunInstances"} <= names
    alone = asked(securityGroups=GROUPS)
    assert "ec2:CreateSecurityGroup" not in alone
    assert "ec2:CreateTags" in alone
    assert "ec2:CreateVpc" in asked(vpc=None, subnets=None)


def test_with_given_profiles_only_the_role_of_jobs_is_the_stacks_own() -> None:
    names = asked(instanceProfiles=PROFILES)
    assert "iam:CreateRole" in names
    assert not {"iam:CreateInstanceProfile", "iam:PassRole"} & set(names)
    assert "iam:CreateRole" not in asked(instanceProfiles={**PROFILES, "jobRole": JOB})


def test_roles_with_a_boundary_are_asked_for_with_it() -> None:
    assert asked(permissionsBoundary=LIMITS)["iam:CreateRole"].context["iam:PermissionsBoundary"] == LIMITS
    assert "iam:PutRolePermissionsBoundary" in asked(permissionsBoundary=LIMITS)
    assert "iam:PutRolePermissionsBoundary" not in asked()


def test_rights_to_log_groups_are_asked_where_the_stack_has_one() -> None:
    assert "logs:CreateLogGroup" not in asked()
    assert "logs:CreateLogGroup" in asked(cloudLogs=True)
    assert "ec2:CreateFlowLogs" not in asked(cloudLogs=True)
    assert "logs:FilterLogEvents" not in asked(flowLogs=False)
    reads = asked(cloudLogs=True)["logs:FilterLogEvents"]
    assert reads.resource == "arn:aws:logs:eu-west-1:123456789012:log-group:caffe-spark/test"


def test_rights_of_placement_groups_are_asked_where_the_stack_has_one() -> None:
    near = {"placementGroup": True, "subnets": GIVEN["subnets"]}
    assert {"ec2:CreatePlacementGroup", "ec2:DeletePlacementGroup"} <= set(asked(**near))
    assert "ec2:CreatePlacementGroup" not in asked()

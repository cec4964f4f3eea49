"""Policies that roles of given profiles need: what they allow, and how IAM's simulator is asked."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from infra.aws import identity
from infra.aws.existing.rights import Role, needed, printed, questions
from infra.aws.settings.config import AwsConfig

STACK = "blue"
BUCKET = "arn:aws:s3:::caffe-spark-blue-20261130123456789000000001"
OTHERS = "arn:aws:s3:::caffe-spark-blue-2-20261130123456789000000001"
GROUP = (
    "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:1b2c-3d:autoScalingGroupName/"
    "caffe-spark-blue-workers"
)
JOBS = "arn:aws:iam::123456789012:role/caffe-spark-blue-job-20261130123456789000000002"
GIVEN = "arn:aws:iam::123456789012:role/team-jobs"
ROLES: list[Role] = ["head", "worker", "job"]


def config(**profiles: str) -> AwsConfig:
    given = {"instanceProfiles": {"head": "h", "worker": "w", **profiles}}
    return AwsConfig.model_validate({"region": "eu-west-1", **given})


def listed(one: str | list[str]) -> list[str]:
    return [one] if isinstance(one, str) else one


def permits(policy: dict[str, Any], action: str, resource: str) -> bool:
    """By IAM's patterns, of which moto's engine does not know the question mark; conditions are met."""
    return any(
        any(fnmatchcase(action, pattern) for pattern in listed(one["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in listed(one["Resource"]))
        for one in policy["Statement"]
    )


def may(role: Role, action: str, resource: str, **profiles: str) -> bool:
    return permits(needed(config(**profiles), STACK, role), action, resource)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_and_writes_the_stacks_bucket_and_no_other_stacks(role: Role) -> None:
    assert may(role, "s3:ListBucket", BUCKET)
    assert may(role, "s3:PutObject", f"{BUCKET}/jobs/j/model")
    for other in (OTHERS, "arn:aws:s3:::caffe-spark-blue-", "arn:aws:s3:::company"):
        assert not may(role, "s3:ListBucket", other)
        assert not may(role, "s3:PutObject", f"{other}/jobs/j/model")


def test_machines_assume_the_jobs_role() -> None:
    for role in ROLES[:2]:
        assert may(role, "sts:AssumeRole", JOBS)
        assert not may(role, "sts:AssumeRole", GIVEN)
        assert may(role, "sts:AssumeRole", GIVEN, jobRole=GIVEN)
        assert not may(role, "sts:AssumeRole", JOBS, jobRole=GIVEN)


def test_workers_complete_the_groups_hooks_and_the_head_stops_the_group() -> None:
    assert may("worker", "autoscaling:CompleteLifecycleAction", GROUP)
    assert not may("worker", "autoscaling:CompleteLifecycleAction", GROUP.replace("blue", "green"))
    sids = [one.get("Sid") for one in needed(config(), STACK, "head")["Statement"]]
    assert "StopWorkers" in sids


@pytest.mark.parametrize("role", ROLES)
def test_machines_write_to_the_stacks_log_group_where_the_stack_says_so(role: Role) -> None:
    stream = "arn:aws:logs:eu-west-1:123456789012:log-group:caffe-spark/{}:log-stream:i-1/boot"
    profiles = {"head": "h", "worker": "w"}
    sends = AwsConfig.model_validate({"region": "eu-west-1", "instanceProfiles": profiles, "cloudLogs": True})
    policy = needed(sends, STACK, role)
    assert permits(policy, "logs:PutLogEvents", stream.format("blue")) == (role != "job")
    assert not permits(policy, "logs:PutLogEvents", stream.format("blue-2"))
    assert not permits(policy, "logs:GetLogEvents", stream.format("blue"))
    assert not may(role, "logs:PutLogEvents", stream.format("blue"))
    asked = [one for one in questions(policy, "AROA") if "logs:PutLogEvents" in one.actions]
    assert [one.resources for one in asked] == (
        [] if role == "job" else [["arn:aws:logs:eu-west-1:123456789012:log-group:caffe-spark/blue:x"]]
    )


def test_the_head_sets_the_share_on_demand_where_the_stack_says_so() -> None:
    def sids(**values: int) -> set[str]:
        given = config().model_copy(update=values)
        return {one.get("Sid", "") for one in needed(given, STACK, "head")["Statement"]}

    assert sids(fallback_after=600) - sids() == {"OnDemandShare", "LookAtLaunches"}


def patterns(policy: dict[str, Any]) -> dict[str, Any]:
    """The statements without resources."""
    return {
        str(one.get("Sid")): {key: value for key, value in one.items() if key != "Resource"}
        for one in policy["Statement"]
    }


def test_they_are_the_policies_of_the_stacks_own_roles() -> None:
    own = {
        "head": (identity.head_policy, identity.stop_policy),
        "worker": (identity.worker_policy, identity.lifecycle_policy),
    }
    for role, makers in own.items():
        made = [maker("arn:x") for maker in makers] + [identity.assume_policy("arn:x")]
        wanted = {sid: one for each in made for sid, one in patterns(each).items()}
        assert patterns(needed(config(), STACK, role)) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ROLES)
def test_every_question_is_one_that_the_policy_allows(role: Role) -> None:
    policy = needed(config(), STACK, role)
    told = json.loads(json.dumps(policy).replace("${aws:userid}", "AROAX:i-00000000000000000"))
    asked = list(questions(policy, "AROAX"))
    assert len(asked) == len(policy["Statement"])
    for question in asked:
        for resource in question.resources:
            assert not set(resource) & set("?$") and "*" not in resource.removesuffix("*"), resource
            assert all(permits(told, action, resource) for action in question.actions), resource


def test_the_simulator_is_told_what_conditions_compare() -> None:
    (stop,) = [
        one
        for one in questions(needed(config(), STACK, "head"), "AROAX")
        if "autoscaling:UpdateAutoScalingGroup" in one.actions
    ]
    assert stop.context["autoscaling:MinSize"] == ("numeric", "0")
    assert stop.context["aws:userid"] == ("string", "AROAX:i-00000000000000000")


def test_what_is_printed_is_for_each_role_a_trust_policy_and_a_policy() -> None:
    document = json.loads(printed(config(), STACK))
    assert list(document) == ROLES
    for role in ROLES:
        assert document[role]["policy"] == needed(config(), STACK, role)
    assert document["head"]["trust"] == identity.ASSUME
    trusted = document["job"]["trust"]["Statement"][0]["Principal"]["AWS"]
    assert trusted == ["arn:aws:iam::ACCOUNT:role/ROLE_OF_h", "arn:aws:iam::ACCOUNT:role/ROLE_OF_w"]

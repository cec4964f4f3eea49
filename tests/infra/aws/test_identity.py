"""Permissions of the roles, decided by moto's IAM engine from the registered policy documents."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from moto.iam.access_control import IAMPolicy, PermissionResult

from bootstrap import paths
from infra.aws import identity, roles
from tests.infra.aws.conftest import STACK, Recording, record

BUCKET = "arn:aws:s3:::caffe-spark-x"
REGION, GROUP = "eu-west-1", "caffe-spark-x-workers"
ME, ANOTHER = "AROAHEAD:i-0123456789abcdef0", "AROAHEAD:i-0fedcba9876543210"
GROUP_ARN = f"arn:aws:autoscaling:{REGION}:123456789012:autoScalingGroup:1b2c:autoScalingGroupName/{GROUP}"
OTHERS_ARN = GROUP_ARN.replace(GROUP, "somebodys-workers")


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {**one, "Statement": [*one["Statement"], *other["Statement"]]}


DOCUMENTS = {
    "head": identity.head_policy(BUCKET),
    "worker": _both(identity.worker_policy(BUCKET), identity.lifecycle_policy(GROUP_ARN)),
    "job": identity.job_policy(BUCKET),
}
STOP = identity.stop_policy(GROUP_ARN)
JOB_ARN = "arn:aws:iam::123456789012:role/caffe-spark-x-job-1"


def _listed(statement: dict[str, Any]) -> list[str]:
    given = statement["Action"]
    return given if isinstance(given, list) else [given]


@cache
def _identity() -> Recording:
    args = roles.IdentityArgs(stack=STACK, bucket_arn=BUCKET)
    return record(lambda: _ignore(roles.Identity("identity", args)))


def _ignore(_: object) -> None:
    """A program's resources are registered, not returned."""


def may(role: str, action: str, resource: str) -> bool:
    """True if an instance with `aws:userid` ME is allowed to; ME is filled in, moto has no variables."""
    text = json.dumps(DOCUMENTS[role]).replace("${aws:userid}", ME)
    return IAMPolicy(text).is_action_permitted(action, resource) is PermissionResult.PERMITTED


HEAD_WRITES = ("frameworks/caffe/k/caffe.tar", "data/mnist/train", "jobs/j/model", "tmp/x", "user/spark/x")


@pytest.mark.parametrize("role", ["head", "job"])
@pytest.mark.parametrize("key", HEAD_WRITES)
@pytest.mark.parametrize("action", ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"])
def test_head_and_jobs_fill_shared_storage(action: str, key: str, role: str) -> None:
    assert may(role, f"s3:{action}", f"{BUCKET}/{key}")


@pytest.mark.parametrize("action", ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"])
@pytest.mark.parametrize(
    "key",
    [
        "cluster",
        "cluster/framework/current.json",
        "cluster/framework/caffe-0123456789abcdef.sh",
        "cluster/bootstrap/head-0123456789abcdef.sh",
        "cluster/bootstrap/worker-0123456789abcdef.sh",
        f"cluster/nodes/{ME}/node.json",
    ],
)
def test_jobs_reach_nothing_of_what_machines_obey_or_report(key: str, action: str) -> None:
    assert not may("job", f"s3:{action}", f"{BUCKET}/{key}")


@pytest.mark.parametrize(
    "action", ["ssm:UpdateInstanceInformation", "ssmmessages:OpenDataChannel", "sts:AssumeRole"]
)
def test_jobs_use_no_service_but_the_bucket(action: str) -> None:
    assert not may("job", action, "*")
    actions = {action for statement in DOCUMENTS["job"]["Statement"] for action in _listed(statement)}
    assert {action.partition(":")[0] for action in actions} == {"s3"}


def test_machines_assume_the_jobs_role_and_no_other() -> None:
    policy = IAMPolicy(json.dumps(identity.assume_policy(JOB_ARN)))
    assert policy.is_action_permitted("sts:AssumeRole", JOB_ARN) is PermissionResult.PERMITTED
    for other in (JOB_ARN.replace("-job-1", "-head-1"), "arn:aws:iam::123456789012:role/admin", "*"):
        assert policy.is_action_permitted("sts:AssumeRole", other) is not PermissionResult.PERMITTED


def test_the_stacks_machines_alone_assume_the_jobs_role() -> None:
    recording = _identity()
    trust = json.loads(recording.named("identity-job").inputs["assumeRolePolicy"])
    machines = [recording.named(f"identity-{role}").outputs["arn"] for role in ("head", "worker")]
    (statement,) = trust["Statement"]
    assert statement == {"Effect": "Allow", "Principal": {"AWS": machines}, "Action": "sts:AssumeRole"}


@pytest.mark.parametrize("role", ["head", "worker"])
def test_each_machine_may_assume_the_role_before_it_boots(role: str) -> None:
    recording = _identity()
    allowed = recording.named(f"identity-{role}-jobs")
    assert allowed.inputs["role"] == recording.named(f"identity-{role}").outputs["name"]
    (statement,) = json.loads(allowed.inputs["policy"])["Statement"]
    assert statement["Resource"] == recording.named("identity-job").outputs["arn"]


def test_the_jobs_role_is_of_no_machine() -> None:
    profiles = _identity().of("aws:iam/instanceProfile:InstanceProfile")
    assert set(profiles) == {"identity-head-profile", "identity-worker-profile"}


@pytest.mark.parametrize("role", ["head", "worker"])
@pytest.mark.parametrize("action", ["PutObject", "DeleteObject"])
@pytest.mark.parametrize("file", ["current.json", "caffe-0123456789abcdef.sh"])
def test_no_machine_decides_what_joining_machines_run(role: str, action: str, file: str) -> None:
    assert not may(role, f"s3:{action}", f"{BUCKET}/cluster/framework/{file}")


@pytest.mark.parametrize("key", ["jobs/j/model", "tmp/x"])
@pytest.mark.parametrize("action", ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"])
def test_workers_write_results(action: str, key: str) -> None:
    assert may("worker", f"s3:{action}", f"{BUCKET}/{key}")


@pytest.mark.parametrize(
    "key", ["frameworks/caffe/k/caffe.tar", "data/mnist/train", "cluster/framework/x.sh"]
)
def test_workers_read_what_they_run_and_do_not_change_it(key: str) -> None:
    assert may("worker", "s3:GetObject", f"{BUCKET}/{key}")
    assert not may("worker", "s3:PutObject", f"{BUCKET}/{key}")
    assert not may("worker", "s3:DeleteObject", f"{BUCKET}/{key}")


@pytest.mark.parametrize("role", ["head", "worker"])
def test_a_machine_reads_its_own_script_and_no_other_roles(role: str) -> None:
    other = {"head": "worker", "worker": "head"}[role]
    assert may(role, "s3:GetObject", f"{BUCKET}/cluster/bootstrap/{role}-0123456789abcdef.sh")
    assert not may(role, "s3:GetObject", f"{BUCKET}/cluster/bootstrap/{other}-0123456789abcdef.sh")


@pytest.mark.parametrize("role", ["head", "worker"])
@pytest.mark.parametrize("action", ["s3:PutObject", "s3:DeleteObject"])
def test_scripts_that_machines_start_with_are_changed_by_the_operator_alone(role: str, action: str) -> None:
    assert not may(role, action, f"{BUCKET}/cluster/bootstrap/{role}-0123456789abcdef.sh")


@pytest.mark.parametrize("role", ["head", "worker"])
def test_a_machine_speaks_for_itself_and_for_no_other_machine(role: str) -> None:
    assert may(role, "s3:PutObject", f"{BUCKET}/cluster/nodes/{ME}/node.json")
    assert not may(role, "s3:PutObject", f"{BUCKET}/cluster/nodes/{ANOTHER}/node.json")
    # The head counts the failures that workers report.
    assert may(role, "s3:GetObject", f"{BUCKET}/cluster/nodes/{ANOTHER}/node.json") is (role == "head")
    assert not may(role, "s3:DeleteObject", f"{BUCKET}/cluster/nodes/{ME}/node.json")


@pytest.mark.parametrize("role", ["head", "worker", "job"])
@pytest.mark.parametrize("folder", ["frameworks", "data", "jobs", "tmp"])
def test_asking_for_a_folder_that_is_not_there_is_not_refused(role: str, folder: str) -> None:
    """S3 tells those who may not read a key 403 instead of 404; S3A asks for a folder's bare name first."""
    assert may(role, "s3:ListBucket", BUCKET)
    assert may(role, "s3:GetObject", f"{BUCKET}/{folder}")


def test_workers_complete_their_own_groups_lifecycle_actions() -> None:
    for action in ("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat"):
        assert may("worker", f"autoscaling:{action}", GROUP_ARN)
        assert not may("worker", f"autoscaling:{action}", OTHERS_ARN)
        assert not may("head", f"autoscaling:{action}", GROUP_ARN)


@pytest.mark.parametrize("role", ["head", "worker"])
def test_sessions_work_without_the_right_to_read_parameters(role: str) -> None:
    assert may(role, "ssm:UpdateInstanceInformation", "*")
    assert may(role, "ssmmessages:OpenDataChannel", "*")
    assert not may(role, "ssm:GetParameter", f"arn:aws:ssm:{REGION}:123456789012:parameter/any")
    assert not may(role, "ssm:SendCommand", "*")
    assert not may(role, "ssm:StartSession", "*")


@pytest.mark.parametrize("role", ["head", "worker", "job"])
@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", "arn:aws:s3:::caffe-spark-other/jobs/j/model"),
        ("s3:PutObject", "arn:aws:s3:::caffe-spark-other/jobs/j/model"),
        ("s3:ListBucket", "arn:aws:s3:::caffe-spark-other"),
        ("s3:ListAllMyBuckets", "*"),
        ("s3:DeleteBucket", BUCKET),
        ("s3:PutBucketPolicy", BUCKET),
        ("s3:PutLifecycleConfiguration", BUCKET),
        ("s3:PutBucketVersioning", BUCKET),
        ("s3:DeleteObjectVersion", f"{BUCKET}/jobs/j/model"),
        ("s3:PutObjectAcl", f"{BUCKET}/jobs/j/model"),
        ("s3:PutObject", f"{BUCKET}/elsewhere/x"),
        ("s3:PutObject", f"{BUCKET}/jobs-of-somebody/x"),
        ("ec2:RunInstances", "*"),
        ("ec2:TerminateInstances", "*"),
        ("ec2:DescribeInstances", "*"),
        ("iam:CreateAccessKey", "*"),
        ("iam:PassRole", "*"),
        ("sts:AssumeRole", "*"),
        ("autoscaling:SetDesiredCapacity", GROUP_ARN),
        ("autoscaling:UpdateAutoScalingGroup", GROUP_ARN),
        ("autoscaling:TerminateInstanceInAutoScalingGroup", GROUP_ARN),
    ],
)
def test_everything_else_is_denied(role: str, action: str, resource: str) -> None:
    assert not may(role, action, resource)


@pytest.mark.parametrize("role", ["head", "worker", "job"])
def test_no_statement_allows_whole_services_or_every_resource_of_one_that_has_resources(role: str) -> None:
    for statement in DOCUMENTS[role]["Statement"]:
        actions = _listed(statement)
        assert not [action for action in actions if "*" in action]
        if statement["Resource"] == "*":
            assert all(action.startswith(("ssm:Update", "ssmmessages:")) for action in actions)


def test_only_ec2_takes_these_roles() -> None:
    (statement,) = identity.ASSUME["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "ec2.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }


def test_the_head_keeps_the_stacks_account_and_reads_its_limits_and_no_job_does() -> None:
    account, limits = f"{BUCKET}/{paths.SPENDING}", f"{BUCKET}/{paths.LIMITS}"
    assert [may("head", f"s3:{verb}Object", account) for verb in ("Get", "Put", "Delete")] == [
        True,
        True,
        False,
    ]
    assert [may("head", f"s3:{verb}Object", limits) for verb in ("Get", "Put", "Delete")] == [
        True,
        False,
        False,
    ]
    for role in ("worker", "job"):
        assert not any(
            may(role, f"s3:{verb}Object", key) for verb in ("Get", "Put") for key in (account, limits)
        )


def test_the_head_reads_what_workers_report_and_writes_none_of_it() -> None:
    for file in ("node.json", "boot.log"):
        theirs = f"{BUCKET}/{paths.NODES}/AROAWORKER:i-0123456789abcdef0/{file}"
        assert may("head", "s3:GetObject", theirs)
        assert not may("head", "s3:PutObject", theirs)
        assert not may("worker", "s3:GetObject", theirs)


def test_the_head_sets_the_size_of_its_own_group_to_zero_and_no_more() -> None:
    policy = IAMPolicy(json.dumps(STOP))
    update = "autoscaling:UpdateAutoScalingGroup"
    assert policy.is_action_permitted(update, GROUP_ARN) is PermissionResult.PERMITTED
    assert policy.is_action_permitted(update, OTHERS_ARN) is not PermissionResult.PERMITTED
    lets_go = "autoscaling:CompleteLifecycleAction"
    assert policy.is_action_permitted(lets_go, GROUP_ARN) is PermissionResult.PERMITTED
    assert policy.is_action_permitted(lets_go, OTHERS_ARN) is not PermissionResult.PERMITTED
    for action in ("autoscaling:DeleteAutoScalingGroup", "ec2:RunInstances", "ec2:TerminateInstances"):
        assert policy.is_action_permitted(action, GROUP_ARN) is not PermissionResult.PERMITTED
    # moto's engine knows no conditions.
    assert STOP["Statement"][0]["Condition"] == {
        "NumericEquals": {"autoscaling:MinSize": "0"},
        "Null": {"autoscaling:MaxSize": "true"},
    }

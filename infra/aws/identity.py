"""IAM roles of the head and the workers, each with the permissions that its own work needs.

Nodes store no keys: the instance metadata service issues temporary credentials of their role. The policies
are pure functions, so that tests can check what they allow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from bootstrap import paths
from infra.aws.names import prefix

Statement = dict[str, Any]

MAX_ROLE_PREFIX: Final = 38
MAX_PROFILE_PREFIX: Final = 102
READ: Final = ("s3:GetObject",)
WRITE: Final = ("s3:PutObject",)
CHANGE: Final = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
OWN_REPORT: Final = f"{paths.NODES}/${{aws:userid}}/*"
"""`aws:userid` of an EC2 role is ROLE_ID:INSTANCE_ID, so that an instance cannot write another one's
report."""

ASSUME: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@dataclass(frozen=True)
class IdentityArgs:
    """`bucket_arn` is that of the stack's shared storage."""

    stack: str
    bucket_arn: pulumi.Input[str]


@dataclass(frozen=True)
class Machine:
    """A role as instances use it; `role_id` is the first part of their `aws:userid`."""

    profile_name: pulumi.Output[str]
    profile_arn: pulumi.Output[str]
    role_name: pulumi.Output[str]
    role_id: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]
    """Resources that must exist before an instance requests credentials."""


class Identity(pulumi.ComponentResource):
    """Both roles with their policies and instance profiles."""

    head: Machine
    worker: Machine

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("caffe-spark:aws:Identity", name, None, opts)
        bucket = pulumi.Output.from_input(args.bucket_arn)
        self.head = self._machine(f"{name}-head", args, "head", bucket.apply(head_policy))
        self.worker = self._machine(f"{name}-worker", args, "worker", bucket.apply(worker_policy))
        self.register_outputs({"head": self.head.profile_name, "worker": self.worker.profile_name})

    def _machine(
        self, name: str, args: IdentityArgs, role: str, policy: pulumi.Output[dict[str, Any]]
    ) -> Machine:
        child = pulumi.ResourceOptions(parent=self)
        made = aws.iam.Role(
            name,
            name_prefix=prefix(args.stack, role, MAX_ROLE_PREFIX),
            description=f"caffe-spark: the {role} of stack {args.stack}",
            assume_role_policy=json.dumps(ASSUME),
            opts=child,
        )
        allowed = aws.iam.RolePolicy(
            f"{name}-policy",
            name="caffe-spark",
            role=made.id,
            policy=policy.apply(json.dumps),
            opts=child,
        )
        profile = aws.iam.InstanceProfile(
            f"{name}-profile",
            name_prefix=prefix(args.stack, role, MAX_PROFILE_PREFIX),
            role=made.name,
            opts=child,
        )
        return Machine(
            profile.name, profile.arn, made.name, made.unique_id.apply(str), ready=(allowed, profile)
        )


def head_policy(bucket_arn: str) -> dict[str, Any]:
    """Return the head's policy: it fills shared storage and submits jobs.

    It cannot write below `cluster/`, which tells machines what to run as root: only the operator does.
    """
    folders = ("frameworks", "data", "jobs", "tmp", "user")
    return _document(
        _list(bucket_arn),
        _objects("Folders", bucket_arn, READ, *folders, "cluster"),
        _objects("Work", bucket_arn, CHANGE, *(f"{folder}/*" for folder in folders)),
        _objects("BootScript", bucket_arn, READ, f"{paths.BOOT_SCRIPTS}/head-*"),
        _objects("OwnReport", bucket_arn, WRITE, OWN_REPORT),
        session_manager(),
    )


def worker_policy(bucket_arn: str) -> dict[str, Any]:
    """Return a worker's policy: it reads frameworks and data, and writes results."""
    read, written = ("frameworks", "data", paths.FRAMEWORK_SCRIPTS), ("jobs", "tmp")
    return _document(
        _list(bucket_arn),
        _objects("Folders", bucket_arn, READ, *read, *written),
        _objects("Inputs", bucket_arn, READ, *(f"{folder}/*" for folder in read)),
        _objects("Results", bucket_arn, CHANGE, *(f"{folder}/*" for folder in written)),
        _objects("BootScript", bucket_arn, READ, f"{paths.BOOT_SCRIPTS}/worker-*"),
        _objects("OwnReport", bucket_arn, WRITE, OWN_REPORT),
        session_manager(),
    )


def lifecycle_policy(group_arn: str) -> dict[str, Any]:
    """Return a worker's policy for its Auto Scaling group: it completes lifecycle actions."""
    return _document(
        {
            "Sid": "ComeAndGo",
            "Effect": "Allow",
            "Action": ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            "Resource": group_arn,
        }
    )


def session_manager() -> Statement:
    """Return the permissions that the SSM agent needs for sessions, and no more.

    AWS's own AmazonSSMManagedInstanceCore would also let instances read every parameter of the account.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
    """
    return {
        "Sid": "SessionManager",
        "Effect": "Allow",
        "Action": [
            "ssm:UpdateInstanceInformation",
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ],
        # These actions do not support resources.
        "Resource": "*",
    }


# "Folders": S3A checks whether a folder is a file (HEAD on its bare name). S3 answers 403 instead of 404 to a
# caller that may not read such a key, and `hdfs dfs -mkdir` would fail in an empty bucket.
def _document(*statements: Statement) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _list(bucket_arn: str) -> Statement:
    return {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket_arn}


def _objects(sid: str, bucket_arn: str, actions: tuple[str, ...], *keys: str) -> Statement:
    resources = [f"{bucket_arn}/{key}" for key in keys]
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}

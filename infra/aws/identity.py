"""IAM policies of the head, the workers and jobs, each with the permissions that its own work needs. Pure.

Nodes store no keys: the instance metadata service issues temporary credentials of their role, to root alone.
Jobs get those of a role of their own, which machines assume for them (`bootstrap.join.on_node.credentials`).
`infra.aws.roles` gives them to roles; for those of a company, `infra.aws.existing.rights` prints them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bootstrap import paths

Statement = dict[str, Any]

WORK: Final = ("frameworks", "data", "jobs", "tmp", "user")
"""Folders of shared storage that jobs and the commands around them fill."""
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


def head_policy(bucket_arn: str) -> dict[str, Any]:
    """Return the head's policy: it fills shared storage and submits jobs.

    Below `cluster/`, which tells machines what to run as root, only the operator writes; the head, its own
    report and the stack's account.
    """
    return _document(
        _list(bucket_arn),
        _objects("Folders", bucket_arn, READ, *WORK, "cluster"),
        _objects("Work", bucket_arn, CHANGE, *(f"{folder}/*" for folder in WORK)),
        _objects("BootScript", bucket_arn, READ, f"{paths.BOOT_SCRIPTS}/head-*"),
        _objects("OwnReport", bucket_arn, WRITE, OWN_REPORT),
        _objects("Reports", bucket_arn, READ, f"{paths.NODES}/*"),
        _objects("Limits", bucket_arn, READ, paths.LIMITS),
        _objects("Account", bucket_arn, (*READ, *WRITE), paths.SPENDING),
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


def job_policy(bucket_arn: str) -> dict[str, Any]:
    """Return the policy of jobs and of commands that run as their user: all folders but `cluster/`."""
    return _document(
        _list(bucket_arn),
        _objects("Folders", bucket_arn, READ, *WORK),
        _objects("Work", bucket_arn, CHANGE, *(f"{folder}/*" for folder in WORK)),
    )


def job_trust(machine_arns: Sequence[str]) -> dict[str, Any]:
    """Return the trust policy of the jobs' role: this stack's machines assume it, nobody else."""
    return _document(
        {"Effect": "Allow", "Principal": {"AWS": list(machine_arns)}, "Action": "sts:AssumeRole"}
    )


def assume_policy(job_arn: str) -> dict[str, Any]:
    """Return a machine's policy for the jobs' role: it assumes this role and no other."""
    return _document({"Sid": "JobRole", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": job_arn})


def logs_policy(group_arn: str) -> dict[str, Any]:
    """Return a machine's policy for the stack's log group: it writes, and reads nothing."""
    return _document(
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"{group_arn}:*",
        }
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


def stop_policy(group_arn: str) -> dict[str, Any]:
    """Return the head's policy for the workers' group: it sets its least size to 0, and nothing above it, and
    ends the wait for machines that are joining.

    What it looks at cannot be limited to one group:
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html
    """
    return _document(
        {
            "Sid": "StopWorkers",
            "Effect": "Allow",
            "Action": "autoscaling:UpdateAutoScalingGroup",
            "Resource": group_arn,
            "Condition": {
                "NumericEquals": {"autoscaling:MinSize": "0"},
                "Null": {"autoscaling:MaxSize": "true"},
            },
        },
        {
            "Sid": "LetGo",
            "Effect": "Allow",
            "Action": "autoscaling:CompleteLifecycleAction",
            "Resource": group_arn,
        },
        {
            "Sid": "LookAtSpending",
            "Effect": "Allow",
            "Action": [
                "autoscaling:DescribeAutoScalingGroups",
                "ec2:DescribeInstances",
                "ec2:DescribeSpotPriceHistory",
            ],
            "Resource": "*",
        },
    )


def fallback_policy(group_arn: str) -> dict[str, Any]:
    """Return the head's policy with `fallbackAfter`: it sets the group's on-demand share, not its sizes,
    network or launch configuration, and reads why launches have failed.

    No condition key is about the share. For another launch template AWS asks for `ec2:RunInstances` and
    `iam:PassRole` too, which the head does not have. Whether it asks for them without a template in the
    request is not settled; `fab workers` would show the refusal. Read on 2026-11-30:
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
    """
    absent = ("MinSize", "MaxSize", "LaunchConfigurationName", "VPCZoneIdentifiers")
    return _document(
        {
            "Sid": "OnDemandShare",
            "Effect": "Allow",
            "Action": "autoscaling:UpdateAutoScalingGroup",
            "Resource": group_arn,
            "Condition": {"Null": {f"autoscaling:{key}": "true" for key in absent}},
        },
        {
            "Sid": "LookAtLaunches",
            "Effect": "Allow",
            "Action": "autoscaling:DescribeScalingActivities",
            "Resource": "*",
        },
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

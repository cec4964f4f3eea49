"""Workers that could not join: what the head has counted, where the last one's log is, and how to go on.

The head counts, and stops workers after `maxJoinFailures` in a row (`bootstrap.join.on_node.joining`).
"""

from __future__ import annotations

from typing import Final

from bootstrap.cluster import AutoScalingGroup, ClusterDocument
from bootstrap.errors import StackError
from bootstrap.findings import Finding
from bootstrap.inventory.account import Account, account

JOINING: Final = "joining"
"""Reason for which workers are stopped that could not join; others are `budget` and `idle`."""


class BrokenWorkers(StackError):
    """Workers that the head has stopped because they could not join."""


def finding(cluster: ClusterDocument) -> Finding | None:
    """Return the finding of `fab doctor` about workers that could not join; None without any.

    Raises:
        ConfigError, ServiceDown: the cloud refuses the request, or cannot be reached.
    """
    group = cluster.members
    if not isinstance(group, AutoScalingGroup) or not group.watched:
        return None
    found = account(cluster, group)
    if found is None or not found.failures:
        return None
    return Finding(cluster.head.name, "workers join", False, in_words(found), remedy(cluster, found))


def in_words(found: Account) -> str:
    """Return how many workers could not join, and why the last one could not."""
    last = "" if found.failures == 1 else "; the last one"
    workers = "1 worker" if found.failures == 1 else f"{found.failures} workers in a row"
    return f"{workers} could not join{last}: {found.failed_instance}: {found.failed}"


def log_command(cluster: ClusterDocument, found: Account) -> str:
    """Return the command that prints the log of the last worker that could not join."""
    if found.log:
        return f"`aws s3 cp {cluster.shared_storage.replace('s3a://', 's3://')}/{found.log} -`"
    if cluster.cloud_logs:
        return f"`{cluster.cloud_logs.tail(found.failed_instance)}`"
    region = cluster.members.region if isinstance(cluster.members, AutoScalingGroup) else ""
    console = (
        f"aws ec2 get-console-output --instance-id {found.failed_instance} --region {region} --output text"
    )
    return f"it has left none; within an hour of its end, `{console}`"


def remedy(cluster: ClusterDocument, found: Account) -> str:
    """Return the commands that lead from workers that could not join to workers."""
    resume = ""
    if found.state == "stopped":
        resume = f", then run `fab workers --resume --stack {cluster.stack}`"
    read = f"Read its log ({log_command(cluster, found)})"
    return (
        f"{read} and fix the cause (`pulumi up` applies settings, roles and images, `fab build-headnode` the "
        f"framework){resume}."
    )

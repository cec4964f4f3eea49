"""Log group of a stack in CloudWatch, and the machines' rights to write to it.

Encrypted with CloudWatch's own key. `kmsKey` is that of the volumes: the service would need a statement in
the key's own policy (for `logs.REGION.amazonaws.com`), which the stack never changes. Read on 2026-11-30:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
"""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

import bootstrap.cluster as contract
from infra.aws.document import log_group
from infra.aws.identity import logs_policy
from infra.aws.roles import Identity
from infra.aws.settings import cloud_logs as settings


class CloudLogs(pulumi.ComponentResource):
    """The log group, and a policy of each role that the stack has made.

    It is deleted with the stack, after the machines, and its logs with it. Machines may not create it: one
    that is late would leave a group behind that nobody deletes.
    """

    def __init__(
        self,
        name: str,
        setting: settings.CloudLogs,
        stack: str,
        identity: Identity,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("caffe-spark:aws:CloudLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.cloudwatch.LogGroup(
            f"{name}-group",
            name=log_group(stack),
            retention_in_days=setting.retention_days,
            opts=child,
        )
        for role, machine in (("head", identity.head), ("worker", identity.worker)):
            if not machine.given:
                aws.iam.RolePolicy(
                    f"{name}-{role}",
                    name="logs",
                    role=machine.role_name,
                    policy=group.arn.apply(logs_policy).apply(json.dumps),
                    opts=child,
                )
        self.register_outputs({"group": group.name})


def command(region: str, stack: str) -> str:
    """Return the command that prints the logs."""
    return contract.CloudLogs(group=log_group(stack), region=region).tail()

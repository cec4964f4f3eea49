"""Check that the name of the stack's log group is free, or the group its own."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import aws
from infra import tags
from infra.aws.document import log_group
from infra.aws.preflight.cloud import Cloud
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

NAME: Final = "logs: group"


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check; none of a stack whose machines keep their logs."""
    return [CloudCheck(NAME, lambda cloud: [_group(cloud, stack)])] if config.cloud_logs else []


def _group(cloud: Cloud, stack: str) -> Finding:
    name = log_group(stack)
    with aws.translate_errors(f"looking for log group {name}"):
        pages = cloud.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
        found = [one for page in pages for one in page["logGroups"] if one["logGroupName"] == name]
        if not found:
            return Finding(NAME, "passed", f"{name} will be created")
        arn = found[0].get("logGroupArn") or found[0]["arn"].removesuffix(":*")
        theirs = cloud.logs.list_tags_for_resource(resourceArn=arn)["tags"]
    if tags.is_projects(theirs, stack):
        return Finding(NAME, "passed", f"{name} is this stack's")
    words = ["aws", "logs", "delete-log-group", "--log-group-name", name, "--region", cloud.region]
    return Finding(
        NAME,
        "failed",
        f"{name} is there, without this stack's tags, and `pulumi up` takes no group that it has not made",
        f"Look whose it is; `{shlex.join(words)}` deletes it with its logs. Or remove cloudLogs.",
    )

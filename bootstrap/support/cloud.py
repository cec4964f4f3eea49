"""Part of the cloud: scaling activities, reports and boot logs on AWS; script actions on HDInsight."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from bootstrap import paths
from bootstrap.cluster import AutoScalingGroup, ClusterDocument, HdInsight
from bootstrap.console import page_of
from bootstrap.support.bundle import Bundle

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACTIVITIES: Final = 100
"""Last scaling activities: the most that one request returns."""
BOOT_LOGS: Final = 6
"""Last boot logs of machines, those of machines that are gone included."""
OBJECT: Final = 256 << 10
"""Bytes of an object, from its end."""


def add_cloud(bundle: Bundle, cluster: ClusterDocument) -> None:
    """Add what the cloud has recorded about a stack; without credentials, name that as missing."""
    match cluster.members:
        case AutoScalingGroup() as group:
            with bundle.part("cloud"):
                _add_aws(bundle, cluster, group)
        case HdInsight():
            with bundle.part("cloud"):
                _add_hdinsight(bundle, cluster)
        case _:
            pass


def _add_aws(bundle: Bundle, cluster: ClusterDocument, group: AutoScalingGroup) -> None:
    # importing boto3 takes a third of a second
    from bootstrap.clouds import aws
    from bootstrap.inventory.autoscaling import look
    from bootstrap.inventory.resolve import table

    if cluster.cloud_logs:
        tail = cluster.cloud_logs.tail()
        bundle.add("cloud/logs.txt", f"Not in this bundle: what machines sent to CloudWatch.\n{tail}\n")
    fleet = look(cluster, group)
    bundle.add("cloud/workers.txt", page_of(table(fleet)) + "".join(f"{line}\n" for line in fleet.news))
    with bundle.part("cloud/activities.jsonl"), aws.translate_errors("reading scaling activities"):
        scaling = aws.session().client("autoscaling", region_name=group.region, config=aws.RETRY)
        found = scaling.describe_scaling_activities(AutoScalingGroupName=group.name, MaxRecords=ACTIVITIES)
        lines = [json.dumps(activity, default=str) for activity in found["Activities"]]
        bundle.add("cloud/activities.jsonl", "".join(f"{line}\n" for line in lines))
    with bundle.part("cloud/nodes"), aws.translate_errors(f"reading {cluster.shared_storage}/{paths.NODES}"):
        client = aws.session().client("s3", region_name=group.region, config=aws.RETRY)
        _add_objects(bundle, client, cluster.shared_storage.removeprefix("s3a://"))


def _add_objects(bundle: Bundle, client: S3Client, bucket: str) -> None:
    """Add the machines' last reports and boot logs, and the stack's account and limits."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{paths.NODES}/")
    written = [(entry["LastModified"], entry["Key"]) for page in pages for entry in page.get("Contents", ())]
    newest = [key for _, key in sorted(written, reverse=True)]
    logs = [key for key in newest if key.endswith("/boot.log")][:BOOT_LOGS]
    reports = [key for key in newest if key.endswith("/node.json")][: 4 * BOOT_LOGS]
    for key in (*reports, *logs):
        bundle.add(
            f"cloud/nodes/{key.removeprefix(f'{paths.NODES}/').rpartition(':')[2]}", _end(client, bucket, key)
        )
    for key in (paths.SPENDING, paths.LIMITS):
        if client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)["KeyCount"]:
            bundle.add(f"cloud/{key.rpartition('/')[2]}", _end(client, bucket, key))


def _end(client: S3Client, bucket: str, key: str) -> str:
    """Return the last OBJECT bytes of an object: whole lines, where it is longer."""
    size = client.head_object(Bucket=bucket, Key=key)["ContentLength"]
    if not size:
        return ""
    begin = max(0, size - OBJECT)
    with client.get_object(Bucket=bucket, Key=key, Range=f"bytes={begin}-")["Body"] as stream:
        data = stream.read(OBJECT)
    return (data[data.find(b"\n") + 1 :] if begin else data).decode(errors="replace")


def _add_hdinsight(bundle: Bundle, cluster: ClusterDocument) -> None:
    from bootstrap.script_actions.report import report

    bundle.add("cloud/script-actions.txt", page_of(report(cluster)))

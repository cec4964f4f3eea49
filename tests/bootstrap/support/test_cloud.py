"""The cloud's part, against moto and the simulated Azure."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from bootstrap import paths
from bootstrap.cluster import S3, AutoScalingGroup, CloudLogs, ClusterDocument
from bootstrap.support import cloud
from bootstrap.support.bundle import Bundle
from bootstrap.support.cloud import add_cloud
from bootstrap.support.masking import Masking
from tests.bootstrap.hdinsight_cluster import arm, hdinsight
from tests.cloud.arm import Arm
from tests.cloud.aws_account import REGION, add_group, answers, aws_account, read_once

__all__ = ["arm", "aws_account", "hdinsight", "read_once"]

GROUP = AutoScalingGroup(name="workers", region=REGION, desired_capacity=1)


@pytest.fixture
def on_aws(cluster_document: dict[str, object]) -> ClusterDocument:
    head = {"name": "head", "address": "10.9.8.10", "ssh_target": "i-head", "instance": "i-head"}
    given = {"head": head, "members": GROUP, "storage": S3(uri="s3a://bucket", region=REGION)}
    return ClusterDocument.model_validate({**cluster_document, "stack": "aws", "provider": "aws", **given})


def texts(bundle: Bundle) -> dict[str, str]:
    return {name: data.decode() for name, data in bundle._files.items()}


def test_activities_reports_boot_logs_and_the_account_of_a_stack_on_aws(
    aws_account: None, monkeypatch: pytest.MonkeyPatch, on_aws: ClusterDocument
) -> None:
    add_group(boto3.client("autoscaling", region_name=REGION), GROUP.name)
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    monkeypatch.setattr(cloud, "OBJECT", 40)
    for key, text in {
        f"{paths.NODES}/AROA:i-1/boot.log": "a" * 60 + "\nsecret_key=abcdefgh\nlast\n",
        f"{paths.NODES}/AROA:i-1/node.json": '{"state": "failed"}',
        paths.SPENDING: '{"usd": "1"}',
    }.items():
        s3.put_object(Bucket="bucket", Key=key, Body=text.encode())
    refusal = {"ActivityId": "1", "AutoScalingGroupName": "workers", "StatusMessage": "no spot capacity"}

    def answer(_: str, operation: str, __: dict[str, Any]) -> dict[str, Any] | None:
        if operation != "DescribeScalingActivities":
            return None
        from datetime import datetime, timezone

        at = datetime(2026, 11, 30, tzinfo=timezone.utc)
        return {
            "Activities": [
                {**refusal, "StatusCode": "Failed", "StartTime": at, "Description": "x", "Cause": "y"}
            ]
        }

    answers(monkeypatch, answer)
    bundle = Bundle(Masking())
    logs = CloudLogs(group="caffe-spark/aws", region=REGION)
    add_cloud(bundle, on_aws.model_copy(update={"cloud_logs": logs}))
    found = texts(bundle)
    assert bundle.missing == ()
    assert "aws logs tail caffe-spark/aws --since 1d" in found["cloud/logs.txt"]
    assert json.loads(found["cloud/activities.jsonl"])["StatusMessage"] == "no spot capacity"
    assert "no spot capacity" in found["cloud/workers.txt"]
    assert found["cloud/nodes/i-1/boot.log"] == "secret_key=***\nlast\n"
    assert found["cloud/nodes/i-1/node.json"] == '{"state": "failed"}'
    assert found["cloud/spending.json"] == '{"usd": "1"}'


def test_without_credentials_the_clouds_part_is_missing_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, on_aws: ClusterDocument
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    bundle = Bundle(Masking())
    add_cloud(bundle, on_aws)
    assert texts(bundle) == {}
    (line,) = bundle.missing
    assert line.startswith(
        "cloud: AWS credentials (reading the Auto Scaling group workers): there are no credentials"
    )


def test_the_script_actions_of_an_hdinsight_cluster(arm: Arm, hdinsight: ClusterDocument) -> None:
    bundle = Bundle(Masking())
    add_cloud(bundle, hdinsight)
    assert bundle.missing == ()
    assert "begun (UTC)" in texts(bundle)["cloud/script-actions.txt"]


def test_a_cluster_on_this_machine_has_no_cloud(cluster: ClusterDocument) -> None:
    bundle = Bundle(Masking())
    add_cloud(bundle, cluster)
    assert (texts(bundle), bundle.missing) == ({}, ())

"""Scripts in the bucket: put once, kept when others take their place. S3 is moto's, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from bootstrap.errors import CaffeSparkError
from infra.aws.upload import UploadProvider

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, REGION = "caffe-spark-x-1", "eu-west-1"
PROPS = {"region": REGION, "bucket": BUCKET, "key": "cluster/bootstrap/head-1.sh", "content": "echo größer\n"}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client


def test_it_lies_where_machines_look_for_it_byte_by_byte(s3: S3Client) -> None:
    made = UploadProvider().create(PROPS)
    assert made.id == f"s3://{BUCKET}/{PROPS['key']}"
    found = s3.get_object(Bucket=BUCKET, Key=PROPS["key"])
    assert found["Body"].read() == PROPS["content"].encode()


def test_one_that_was_removed_by_hand_is_noticed_by_a_refresh(s3: S3Client) -> None:
    made = UploadProvider().create(PROPS)
    assert UploadProvider().read(made.id, PROPS).id == made.id
    s3.delete_object(Bucket=BUCKET, Key=PROPS["key"])
    assert UploadProvider().read(made.id, PROPS).id == ""


def test_another_script_is_another_object_and_the_old_one_stays(s3: S3Client) -> None:
    provider, other = UploadProvider(), {**PROPS, "key": "cluster/bootstrap/head-2.sh", "content": "2"}
    made = provider.create(PROPS)
    assert provider.diff(made.id, PROPS, other).replaces == ["key"]
    assert not provider.diff(made.id, PROPS, PROPS).changes
    provider.create(other)
    provider.delete(made.id, PROPS)
    listed = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert {entry["Key"] for entry in listed} == {PROPS["key"], other["key"]}


def test_a_bucket_that_is_not_there_is_one_line(s3: S3Client) -> None:
    with pytest.raises(CaffeSparkError, match="writing s3://gone/"):
        UploadProvider().create({**PROPS, "bucket": "gone"})

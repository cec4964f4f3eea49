"""S3 bucket from the operator's machine: against moto's AWS in this process."""

from __future__ import annotations

import boto3
import pytest

from bootstrap.cluster import S3
from bootstrap.errors import CommandFailed
from bootstrap.storage.bucket import Bucket
from bootstrap.storage.programs import LONGEST
from tests.cloud.aws_account import REGION, aws_account, read_once

__all__ = ["aws_account", "read_once"]


@pytest.fixture
def bucket(aws_account: None) -> Bucket:
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return Bucket.of(S3(uri="s3a://bucket", region=REGION))


def test_a_file_written_is_read_back_and_a_missing_one_is_none(bucket: Bucket) -> None:
    bucket.write("x", bytes(LONGEST))
    assert bucket.read("x") == bytes(LONGEST)
    assert bucket.read("nothing") is None


def test_a_file_that_is_too_long_is_refused(bucket: Bucket) -> None:
    bucket.write("x", bytes(LONGEST + 1))
    with pytest.raises(CommandFailed, match=r"s3://bucket/x: it has more than 4,096 KiB.*Remove it"):
        bucket.read("x")

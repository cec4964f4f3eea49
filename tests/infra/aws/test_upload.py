"""Scripts in the bucket: put once, kept when others take their place. S3 is moto's, in this process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
import pytest

from bootstrap.errors import CaffeSparkError
from infra.aws.upload import UploadProvider
from tests.cloud.aws_account import KEYS, REGION
from tests.infra import engine
from tests.infra.aws.conftest import bucket_on

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROGRAM = """
import pulumi
from infra.aws.upload import Upload
from infra.keys import Secret

key = pulumi.Config("caffe-spark").get("key") or "1"
text = pulumi.Output.concat("secret: ", Secret("spark-secret").value)
Upload("script", region="eu-west-1", bucket="caffe-spark-x-1", key=key, content=text)
"""

BUCKET: Final = "caffe-spark-x-1"
PROPS = {"region": REGION, "bucket": BUCKET, "key": "cluster/bootstrap/head-1.sh", "content": "echo größer\n"}


@pytest.fixture
def s3(aws_account: None) -> S3Client:
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


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


@pytest.mark.cluster
def test_through_the_engine_the_text_arrives_and_is_encrypted_in_the_state(
    tmp_path: Path, moto_server: str
) -> None:
    client = bucket_on(moto_server, BUCKET)
    stack = engine.stack(tmp_path, PROGRAM, "config: {}\n", AWS_ENDPOINT_URL=moto_server, **KEYS)

    stack.up()
    text = client.get_object(Bucket=BUCKET, Key="1")["Body"].read().decode()
    assert re.fullmatch(r"secret: [\w-]{43}", text)
    (state,) = (tmp_path / "state").rglob("stacks/caffe-spark/x.json")
    assert text not in state.read_text()
    assert "3 unchanged" in stack.up()

    stack.pulumi("config", "set", "key", "2")
    assert "1 replaced" in stack.up()
    assert client.get_object(Bucket=BUCKET, Key="2")["Body"].read().decode() == text
    assert client.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 2, "the old one stays"

    client.delete_object(Bucket=BUCKET, Key="2")
    assert "1 deleted" in stack.pulumi("refresh", "--yes", "--skip-preview")
    assert "1 created" in stack.up()
    stack.pulumi("destroy", "--yes", "--skip-preview")

"""Destroying a stack takes what only machines needed, and what people may want only when they say so.

S3 is moto's, in this process; the order of deletions is a real engine's, over a program with only what orders
them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest

from bootstrap.errors import StackError
from infra.aws import contents
from infra.aws.contents import BucketContentsProvider
from tests.cloud.aws_account import KEYS, REGION
from tests.infra import engine
from tests.infra.aws.conftest import bucket_on

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROGRAM = """
import pulumi
from infra.aws.contents import BucketContents
from infra.keys import Secret


class Machines(pulumi.ComponentResource):
    def __init__(self, opts):
        super().__init__("test:Machines", "machines", None, opts)
        Secret("machine", opts=pulumi.ResourceOptions(parent=self))


contents = BucketContents("contents", stack="x", region="eu-west-1", bucket="caffe-spark-x-1")
Machines(pulumi.ResourceOptions(depends_on=[contents]))
"""

BUCKET: Final = "caffe-spark-x-1"
PROPS = {"stack": "x", "region": REGION, "bucket": BUCKET}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: caffe-spark\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def s3(project: Path, aws_account: None) -> S3Client:
    """A versioned bucket with what machines leave in it."""
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for key in ("cluster/bootstrap/head-1.sh", "cluster/nodes/AROA1:i-1/node.json", "tmp/x"):
        for version in (b"1", b"2"):
            client.put_object(Bucket=BUCKET, Key=key, Body=version)
    return client


def everything(client: S3Client) -> list[Any]:
    found = client.list_object_versions(Bucket=BUCKET)
    return [*found.get("Versions", ()), *found.get("DeleteMarkers", ())]


def test_a_bucket_that_only_machines_used_is_emptied_without_asking(s3: S3Client) -> None:
    BucketContentsProvider().delete(BUCKET, PROPS)
    assert everything(s3) == []
    s3.delete_bucket(Bucket=BUCKET)


def test_data_stay_and_nothing_is_removed_with_them_there(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="frameworks/caffe/k/caffe.tar", Body=b"1")
    s3.put_object(Bucket=BUCKET, Key="jobs/j/model", Body=b"1")
    before = everything(s3)
    with pytest.raises(StackError) as refused:
        BucketContentsProvider().delete(BUCKET, PROPS)
    assert "2 objects (0.0 GiB: frameworks/, jobs/) and forceDestroy is off" in refused.value.why
    command = "pulumi config set forceDestroy true --stack x && pulumi destroy --stack x"
    assert command in refused.value.fix
    assert "\n" not in str(refused.value)
    assert everything(s3) == before


@pytest.mark.parametrize("value", ["true", '"true"'])
def test_with_force_destroy_in_the_file_every_version_goes(s3: S3Client, project: Path, value: str) -> None:
    """In the file of this moment: what failed for want of it goes on where it stood."""
    s3.put_object(Bucket=BUCKET, Key="data/mnist", Body=b"1")
    (project / "Pulumi.x.yaml").write_text(f"config:\n  caffe-spark:forceDestroy: {value}\n")
    BucketContentsProvider().delete(BUCKET, PROPS)
    assert everything(s3) == []


def test_force_destroy_off_in_the_file_is_off(s3: S3Client, project: Path) -> None:
    s3.put_object(Bucket=BUCKET, Key="data/mnist", Body=b"1")
    (project / "Pulumi.x.yaml").write_text("config:\n  caffe-spark:forceDestroy: false\n")
    with pytest.raises(StackError):
        BucketContentsProvider().delete(BUCKET, PROPS)


def test_what_people_have_removed_themselves_is_not_asked_for_again(s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="data/mnist", Body=b"1")
    s3.delete_object(Bucket=BUCKET, Key="data/mnist")
    BucketContentsProvider().delete(BUCKET, PROPS)
    assert everything(s3) == []


def test_a_bucket_that_was_removed_by_hand_is_no_error(s3: S3Client) -> None:
    BucketContentsProvider().delete("gone", {**PROPS, "bucket": "gone"})


def test_more_than_one_page_goes(s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "BATCH", 2)
    BucketContentsProvider().delete(BUCKET, PROPS)
    assert everything(s3) == []


def test_nothing_but_another_bucket_is_a_change() -> None:
    provider = BucketContentsProvider()
    assert not provider.diff(BUCKET, PROPS, {**PROPS, "region": "us-east-1"}).changes
    assert provider.diff(BUCKET, PROPS, {**PROPS, "bucket": "other"}).replaces == ["bucket"]


@pytest.mark.cluster
def test_machines_go_first_and_a_destroy_that_was_refused_goes_on_where_it_stood(
    tmp_path: Path, moto_server: str
) -> None:
    client = bucket_on(moto_server, BUCKET)
    client.put_object(Bucket=BUCKET, Key="jobs/j/model", Body=b"1")
    stack = engine.stack(tmp_path, PROGRAM, "config: {}\n", AWS_ENDPOINT_URL=moto_server, **KEYS)
    stack.up()
    stack.destroy_after_refusal("an object (0.0 GiB: jobs/) and forceDestroy is off")
    assert client.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0

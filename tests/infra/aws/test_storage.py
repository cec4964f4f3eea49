"""The bucket and its rules, as they are registered."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from infra.aws.storage import SharedStorage, SharedStorageArgs
from tests.infra.aws.conftest import REGION, STACK, Recording, record

BUCKET = "aws:s3/bucket:Bucket"
KEPT = ("frameworks/", "data/", "jobs/", "user/", "cluster/")


@cache
def made(stack: str = STACK, force_destroy: bool = False) -> Recording:
    args = SharedStorageArgs(stack, REGION, force_destroy=force_destroy)
    return record(lambda: _ignore(SharedStorage("storage", args)))


def _ignore(_: object) -> None:
    """A program's resources are registered, not returned."""


def rules() -> dict[str, Any]:
    found = made().the("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration").inputs["rules"]
    return {rule["id"]: rule for rule in found}


def test_nobody_outside_gets_in() -> None:
    block = made().the("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs
    assert [
        block[key]
        for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    ] == [True] * 4
    ownership = made().the("aws:s3/bucketOwnershipControls:BucketOwnershipControls").inputs
    assert ownership["rule"] == {"objectOwnership": "BucketOwnerEnforced"}, "there are no ACLs at all"


def test_everything_is_encrypted_and_versioned() -> None:
    kind = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    (rule,) = made().the(kind).inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
    versions = made().the("aws:s3/bucketVersioning:BucketVersioning").inputs
    assert versions["versioningConfiguration"] == {"status": "Enabled"}


def test_everything_in_the_clear_or_over_old_tls_is_denied() -> None:
    policy = made().the("aws:s3/bucketPolicy:BucketPolicy").inputs["policy"]
    arn = made().the(BUCKET).outputs["arn"]
    conditions = []
    for statement in json.loads(policy)["Statement"]:
        assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
        assert statement["Resource"] == [arn, f"{arn}/*"], "the bucket itself, and what is in it"
        conditions.append(statement["Condition"])
    assert conditions == [
        {"Bool": {"aws:SecureTransport": "false"}},
        {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
    ]


def test_only_scratch_files_expire_while_they_are_current() -> None:
    expiring = {
        rule["filter"]["prefix"] for rule in rules().values() if rule.get("expiration", {}).get("days")
    }
    assert expiring == {"tmp/"}
    assert all(rule["status"] == "Enabled" for rule in rules().values())


@pytest.mark.parametrize("folder", KEPT)
def test_old_versions_of_everything_go_in_the_end(folder: str) -> None:
    days = [
        rule["noncurrentVersionExpiration"]["noncurrentDays"]
        for rule in rules().values()
        if "noncurrentVersionExpiration" in rule and folder.startswith(rule["filter"]["prefix"])
    ]
    assert days
    assert all(1 <= count <= 30 for count in days)


def test_uploads_that_nobody_finished_are_not_paid_for_for_ever() -> None:
    rule = rules()["unfinished-uploads"]
    assert rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"] == 3
    assert rule["filter"]["prefix"] == ""


def test_old_versions_have_rules_only_once_there_are_versions() -> None:
    lifecycle = made().named("storage-lifecycle")
    assert made().named("storage-versions").urn in lifecycle.depends_on


def test_a_bucket_goes_with_its_content_only_where_the_stack_says_so() -> None:
    assert made().the(BUCKET).inputs["forceDestroy"] is False
    assert made(force_destroy=True).the(BUCKET).inputs["forceDestroy"] is True
    assert not made().the(BUCKET).options["protect"], "that would keep the machines running, too"


def test_the_bucket_is_named_after_the_stack_in_what_s3_takes() -> None:
    assert made().the(BUCKET).inputs["bucketPrefix"] == "caffe-spark-test-"
    name = made(stack="My_Stack." + "x" * 60).the(BUCKET).inputs["bucketPrefix"]
    assert name.startswith("caffe-spark-my-stack-xxx")
    assert name.endswith("x-")
    assert len(name) == 37


def test_the_content_is_judged_before_the_bucket_goes() -> None:
    contents = made().named("storage-contents")
    assert made().the(BUCKET).urn in contents.depends_on
    assert contents.inputs["bucket"] == made().the(BUCKET).outputs["bucket"]
    assert (contents.inputs["stack"], contents.inputs["region"]) == (STACK, REGION)

"""Shared storage: one private bucket for frameworks, data, jobs and boot scripts.

It is versioned, so that a mistake can be undone for OLD_DAYS; current objects are kept, except below tmp/.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from bootstrap import paths
from infra.aws.contents import BucketContents
from infra.aws.names import prefix

MAX_PREFIX: Final = 37
UNFINISHED_DAYS: Final = 3
"""Days after which an unfinished multipart upload is deleted; the largest take an hour."""
SCRATCH_DAYS: Final = 7
OLD_DAYS: Final = 30
OLD_LOG_DAYS: Final = 7
"""For objects that machines overwrite: their scripts and reports."""


@dataclass(frozen=True)
class SharedStorageArgs:
    """`force_destroy`: delete the bucket with everything in it (see `infra.aws.contents`)."""

    stack: str
    region: str
    force_destroy: bool = False


class SharedStorage(pulumi.ComponentResource):
    """The bucket and its rules. Resources that depend on `contents` are destroyed before the bucket is
    emptied."""

    bucket: pulumi.Output[str]
    arn: pulumi.Output[str]
    contents: pulumi.Resource

    def __init__(
        self, name: str, args: SharedStorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("caffe-spark:aws:SharedStorage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # Not protected: `pulumi destroy` would then refuse to delete the instances, which cost by the hour.
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket_prefix=prefix(args.stack, "", MAX_PREFIX),
            force_destroy=args.force_destroy,
            opts=child,
        )
        self.bucket, self.arn = bucket.bucket, bucket.arn
        self.contents = BucketContents(
            f"{name}-contents", stack=args.stack, region=args.region, bucket=bucket.bucket, opts=child
        )
        block = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-owner",
            bucket=bucket.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
        )
        versioning = aws.s3.BucketVersioning(
            f"{name}-versions",
            bucket=bucket.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="AES256"
                        )
                    ),
                    bucket_key_enabled=True,
                )
            ],
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=lifecycle_rules(),
            # AWS accepts rules for old versions only once versioning is enabled.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.id,
            policy=bucket.arn.apply(tls_only).apply(json.dumps),
            # S3 refuses to change both at the same time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )
        self.register_outputs({"bucket": self.bucket})


def lifecycle_rules() -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
    """Return the lifecycle rules: no current object expires, except below tmp/."""
    return [
        _rule(
            "unfinished-uploads",
            "",
            abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=UNFINISHED_DAYS
            ),
        ),
        _rule(
            "scratch",
            "tmp/",
            expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=SCRATCH_DAYS),
            noncurrent_version_expiration=_old(1),
        ),
        _rule(
            "old-scripts-and-reports",
            f"{paths.BOOT_SCRIPTS.partition('/')[0]}/",
            noncurrent_version_expiration=_old(OLD_LOG_DAYS),
        ),
        _rule(
            "old-versions",
            "",
            expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(
                expired_object_delete_marker=True
            ),
            noncurrent_version_expiration=_old(OLD_DAYS),
        ),
    ]


def tls_only(arn: str) -> dict[str, Any]:
    """Return a bucket policy that denies plain HTTP and TLS before 1.2 to everyone."""
    everything = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "TlsOnly", **everything, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Sid": "NoOldTls", **everything, "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
        ],
    }


def _rule(
    rule_id: str,
    folder: str,
    **what: Any,  # noqa: ANN401 - one of the rule's own argument classes
) -> aws.s3.BucketLifecycleConfigurationRuleArgs:
    return aws.s3.BucketLifecycleConfigurationRuleArgs(
        id=rule_id,
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=folder),
        **what,
    )


def _old(days: int) -> aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs:
    return aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(noncurrent_days=days)

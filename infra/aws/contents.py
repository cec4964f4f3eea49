"""Contents of the stack's bucket, and their deletion with the stack.

AWS does not delete a bucket with objects in it, and its error does not help. This resource is the last step
of `pulumi destroy`: it deletes what only machines needed, and refuses to delete what people may want, unless
the stack file says `forceDestroy: true` at that moment, whatever it said when the bucket was created.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource

from bootstrap.errors import ServiceDown, StackError
from infra.provider import Props, Provider, replace_if, say
from infra.settings.force_destroy import is_forced, summarize

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

OF_MACHINES: Final = ("cluster/", "tmp/")
"""Folders that are worthless without the machines: their scripts, reports and scratch files."""
BATCH: Final = 1000
"""Maximum number of keys that S3 lists or deletes in one call."""


class BucketContentsProvider(Provider):
    """Contents of a bucket: nothing to create, but objects to delete."""

    def create(self, props: Props) -> CreateResult:
        """Create nothing: machines and jobs fill the bucket."""
        return CreateResult(id_=str(props["bucket"]), outs=dict(props))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Replace the resource for another bucket; the old bucket's contents are checked when it is
        deleted."""
        return replace_if(["bucket"] if olds["bucket"] != news["bucket"] else [])

    def delete(self, _id: str, props: Props) -> None:
        """Empty the bucket, unless it holds what people may want."""
        from bootstrap.clouds import aws

        bucket, stack = str(props["bucket"]), str(props["stack"])
        with aws.translate_errors(f"emptying s3://{bucket}"):
            client = aws.session().client("s3", region_name=props["region"], config=aws.RETRY)
            if not is_forced(stack):
                refuse(bucket, stack, _current(client, bucket))
            _empty(client, bucket)


class BucketContents(Resource, module="aws", name="BucketContents"):
    """Contents of a bucket. Resources that depend on it are deleted first: make those that bill by the hour
    depend on it."""

    def __init__(
        self,
        name: str,
        *,
        stack: str,
        region: str,
        bucket: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"stack": stack, "region": region, "bucket": bucket}
        super().__init__(BucketContentsProvider(), name, props, opts)


def refuse(bucket: str, stack: str, objects: Iterable[tuple[str, int]]) -> None:
    """Refuse to delete objects, given as (key, bytes), that people may want. Pure.

    Raises:
        StackError: there are such objects; the error lists them and says how to delete them.
    """
    kept = [(key, size) for key, size in objects if not key.startswith(OF_MACHINES)]
    if not kept:
        return
    raise StackError(
        f"bucket {bucket}",
        f"it still holds {summarize(kept, 'object')} and forceDestroy is off; "
        "everything that bills by the hour has been deleted",
        f"To delete the data, too: `pulumi config set forceDestroy true --stack {stack} && "
        f"pulumi destroy --stack {stack}`.",
    )


def _current(client: S3Client, bucket: str) -> Iterator[tuple[str, int]]:
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", ()):
                yield entry["Key"], entry["Size"]
    except client.exceptions.NoSuchBucket:
        return  # deleted by hand


def _empty(client: S3Client, bucket: str) -> None:
    """Delete every object, every old version and every delete marker."""
    removed = 0
    try:
        # Always the first page: its entries are gone when the next one is requested.
        while batch := _versions(client, bucket):
            done = client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
            for error in done.get("Errors", ()):
                raise ServiceDown(
                    f"s3://{bucket}/{error.get('Key', '')}",
                    f"it cannot be deleted: {error.get('Message', error.get('Code', 'no reason'))}",
                    "Fix the cause above, then rerun `pulumi destroy`.",
                )
            removed += len(batch)
    except client.exceptions.NoSuchBucket:
        return
    say(f"Emptied s3://{bucket}: {removed} object versions.")


def _versions(client: S3Client, bucket: str) -> list[ObjectIdentifierTypeDef]:
    page = client.list_object_versions(Bucket=bucket, MaxKeys=BATCH)
    entries: list[Any] = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
    return [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]

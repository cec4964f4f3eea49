"""What becomes of a bucket's content when its stack is destroyed.

AWS removes no bucket that holds anything, and says so in words that help nobody. Here the last step of
`pulumi destroy` empties the bucket of what only machines needed, and refuses to take along what people may
want, unless the stack's file says `forceDestroy: true` at that moment: not when the bucket was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource

from bootstrap.errors import ServiceDown, StackError
from infra.provider import Props, Provider, replace_if, say
from infra.settings.force_destroy import forced, summary

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

OF_MACHINES: Final = ("cluster/", "tmp/")
"""What is worth nothing once the machines are gone: their scripts, their reports, their scratch files."""
BATCH: Final = 1000
"""Keys that S3 lists, and removes, at once."""


class BucketContentsProvider(Provider):
    """Everything in a bucket; nothing to make, something to take away."""

    def create(self, props: Props) -> CreateResult:
        """Nothing: machines and jobs fill the bucket."""
        return CreateResult(id_=str(props["bucket"]), outs=dict(props))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Another bucket has another content; that of the old one is judged when it goes."""
        return replace_if(["bucket"] if olds["bucket"] != news["bucket"] else [])

    def delete(self, _id: str, props: Props) -> None:
        """Empty the bucket, unless it holds what people may want."""
        from bootstrap.clouds import aws

        bucket, stack = str(props["bucket"]), str(props["stack"])
        with aws.translate_errors(f"emptying s3://{bucket}"):
            client = aws.session().client("s3", region_name=props["region"], config=aws.RETRY)
            if not forced(stack):
                refuse(bucket, stack, _current(client, bucket))
            _empty(client, bucket)


class BucketContents(Resource, module="aws", name="BucketContents"):
    """A bucket's content. What depends on it is deleted before: let all that bills by the hour do so."""

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
    """Refuse to remove objects, given as (key, bytes), that people may want. Pure.

    Raises:
        StackError: there are some; with what they are and how to remove them.
    """
    kept = [(key, size) for key, size in objects if not key.startswith(OF_MACHINES)]
    if not kept:
        return
    raise StackError(
        f"bucket {bucket}",
        f"it still holds {summary(kept, 'object')} and forceDestroy is off; "
        "the machines and what else bills by the hour are gone",
        f"To remove the data too: `pulumi config set forceDestroy true --stack {stack} && "
        f"pulumi destroy --stack {stack}`.",
    )


def _current(client: S3Client, bucket: str) -> Iterator[tuple[str, int]]:
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", ()):
                yield entry["Key"], entry["Size"]
    except client.exceptions.NoSuchBucket:
        return  # removed by hand


def _empty(client: S3Client, bucket: str) -> None:
    """Remove every object, every older version and every marker of what was deleted."""
    removed = 0
    try:
        # Always the first page: what was on it is gone when the next one is asked for.
        while batch := _versions(client, bucket):
            done = client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
            for error in done.get("Errors", ()):
                raise ServiceDown(
                    f"s3://{bucket}/{error.get('Key', '')}",
                    f"it cannot be removed: {error.get('Message', error.get('Code', 'no reason'))}",
                    "Mend that, then run `pulumi destroy` again.",
                )
            removed += len(batch)
    except client.exceptions.NoSuchBucket:
        return
    say(f"Emptied s3://{bucket}: {removed} object versions.")


def _versions(client: S3Client, bucket: str) -> list[ObjectIdentifierTypeDef]:
    page = client.list_object_versions(Bucket=bucket, MaxKeys=BATCH)
    entries: list[Any] = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
    return [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]

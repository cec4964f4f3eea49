"""Upload of a script to the bucket, by AWS's own SDK.

Not by pulumi-aws: it deletes an object that another one replaces, and an instance fetches the script it was
created with at each boot. Also, the cross-check (docs/aws.md) runs against an S3 that would take the bucket's
policy "TLS only" for one against everybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource

from infra.provider import Props, Provider, changed, replace_if

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PLACE = ("bucket", "key")


class UploadProvider(Provider):
    """An object whose key contains the digest of its content, so that it never changes."""

    def create(self, props: Props) -> CreateResult:
        """Upload the object; an existing one of that key has the same content."""
        from bootstrap.clouds import aws

        with aws.translate_errors(f"writing s3://{props['bucket']}/{props['key']}"):
            _client(props).put_object(
                Bucket=props["bucket"],
                Key=props["key"],
                Body=props["content"].encode(),
                ContentType="text/x-shellscript",
            )
        return CreateResult(id_=f"s3://{props['bucket']}/{props['key']}", outs=dict(props))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Check that the object exists; an empty id if somebody deleted it."""
        from bootstrap.clouds import aws

        with aws.translate_errors(f"looking for {id_}"):
            found = _client(props).list_objects_v2(Bucket=props["bucket"], Prefix=props["key"], MaxKeys=1)
        return ReadResult(id_=id_, outs=props) if found["KeyCount"] else ReadResult(id_="", outs={})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Replace the resource for another bucket or key; the old object stays (see `infra.aws.contents`)."""
        return replace_if(changed(olds, news, PLACE))


class Upload(Resource, module="aws", name="Upload"):
    """A script, whose content is secret. Deleting the resource leaves the object in place."""

    def __init__(
        self,
        name: str,
        *,
        region: str,
        bucket: pulumi.Input[str],
        key: pulumi.Input[str],
        content: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "region": region,
            "bucket": bucket,
            "key": key,
            "content": pulumi.Output.secret(content),
        }
        super().__init__(UploadProvider(), name, props, opts)


def _client(props: Props) -> S3Client:
    from bootstrap.clouds import aws

    return aws.session().client("s3", region_name=props["region"], config=aws.RETRY)

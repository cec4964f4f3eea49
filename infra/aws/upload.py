"""A script in the bucket, put there by AWS's own client.

Not by pulumi-aws: its objects go when others take their place, and a machine that was made with a script asks
for it at each boot. And the cross-check (docs/aws.md) could not follow: the S3 that it runs against takes the
bucket's rule "TLS only" for a rule against everybody.
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
    """An object whose key says what is in it, so that it never changes."""

    def create(self, props: Props) -> CreateResult:
        """Put it; one of that key is the same one."""
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
        """Gone when somebody removed it."""
        from bootstrap.clouds import aws

        with aws.translate_errors(f"looking for {id_}"):
            found = _client(props).list_objects_v2(Bucket=props["bucket"], Prefix=props["key"], MaxKeys=1)
        return ReadResult(id_=id_, outs=props) if found["KeyCount"] else ReadResult(id_="", outs={})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Another place is another object; the old one stays (see `infra.aws.contents`)."""
        return replace_if(changed(olds, news, PLACE))


class Upload(Resource, module="aws", name="Upload"):
    """A script; what it says is a secret. Deleting it leaves it there."""

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

"""Prices and limits of a stack as a file of its bucket, by which the head keeps the stack's account.

The head reads it once a minute: another budget takes effect without a change of any machine.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from bootstrap import paths
from infra.aws.cost.document import cluster_prices
from infra.aws.cost.prices import Prices
from infra.aws.settings.config import AwsConfig
from infra.provider import Props, Provider
from infra.settings.budget import limits

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def limits_text(config: AwsConfig, stack: str, prices: Prices, worker_role: str) -> str:
    """Return the file's content; `worker_role` is the unique id of the workers' IAM role. Pure."""
    return json.dumps(
        {
            "version": 1,
            "stack": stack,
            "prices": cluster_prices(config, prices).model_dump(mode="json"),
            "limits": limits(config),
            "max_join_failures": config.max_join_failures,
            "worker_role": worker_role,
            "on_demand_base": config.on_demand_base,
            "on_demand_percentage": config.on_demand_percentage,
            "fallback_seconds": config.fallback_after,
            "idle_workers": config.min_workers if config.scale_to_queue else 0,
        },
        indent=1,
    )


def lasting(content: str) -> dict[str, Any]:
    """Return the content without what changes by itself: spot prices, which the head asks AWS for. Pure."""
    document: dict[str, Any] = json.loads(content)
    prices = document["prices"]
    others = [
        {key: value for key, value in node.items() if node["market"] != "spot" or key not in ("low", "high")}
        for node in prices["nodes"]
    ]
    return {**document, "prices": {**prices, "nodes": others, "source": "", "date": ""}}


class LimitsProvider(Provider):
    """The file `cluster/limits.json` of a bucket."""

    def create(self, props: Props) -> CreateResult:
        """Write the file."""
        _write(props)
        return CreateResult(id_=f"s3://{props['bucket']}/{paths.LIMITS}", outs=dict(props))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Check that the file exists; an empty id if somebody deleted it."""
        from bootstrap.clouds import aws

        with aws.translate_errors(f"looking for {id_}"):
            found = _client(props).list_objects_v2(Bucket=props["bucket"], Prefix=paths.LIMITS, MaxKeys=1)
        return ReadResult(id_=id_, outs=props) if found["KeyCount"] else ReadResult(id_="", outs={})

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Replace the file in another bucket; write it again if more than spot prices differ."""
        elsewhere = ["bucket"] if olds.get("bucket") != news.get("bucket") else []
        # Not known yet: the workers' role is about to be replaced.
        new = news.get("content")
        changed = bool(elsewhere) or not isinstance(new, str) or lasting(olds["content"]) != lasting(new)
        return DiffResult(changes=changed, replaces=elsewhere, stables=[], delete_before_replace=False)

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Write the file again."""
        _write(news)
        return UpdateResult(outs=dict(news))


class LimitsFile(Resource, module="aws", name="LimitsFile"):
    """The file; deleting the resource leaves it to the deletion of the bucket's contents."""

    def __init__(
        self,
        name: str,
        *,
        region: str,
        bucket: pulumi.Input[str],
        content: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            LimitsProvider(), name, {"region": region, "bucket": bucket, "content": content}, opts
        )


def _write(props: Props) -> None:
    from bootstrap.clouds import aws

    with aws.translate_errors(f"writing s3://{props['bucket']}/{paths.LIMITS}"):
        _client(props).put_object(
            Bucket=props["bucket"],
            Key=paths.LIMITS,
            Body=props["content"].encode(),
            ContentType="application/json",
        )


def _client(props: Props) -> S3Client:
    from bootstrap.clouds import aws

    return aws.session().client("s3", region_name=props["region"], config=aws.RETRY)

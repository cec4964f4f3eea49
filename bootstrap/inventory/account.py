"""Account of a stack on AWS, as its head keeps it in the bucket (role `spending`)."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bootstrap import paths
from bootstrap.cluster import AutoScalingGroup, ClusterDocument
from bootstrap.money import Amount

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LONGEST: Final = 64 << 10
"""Bytes of an account."""
Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class Account(BaseModel):
    """Account of a stack, as `bootstrap.join.on_node.spending` writes it; times are since the epoch."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1]
    since: float
    at: float
    usd: Usd
    hourly: Usd
    missing: tuple[str, ...] = ()
    worker_seconds: float = 0.0
    state: Literal["running", "stopping", "stopped"]
    why: str = ""
    said: str = ""
    changed: float = 0.0
    idle_since: float = 0.0
    head_stopped: bool = False
    gap_seconds: float = 0.0
    failures: int = 0
    """Workers in a row that could not join; of the last one, the reason, its id and the key of its log."""
    failed: str = ""
    failed_instance: str = ""
    log: str = ""
    dry_since: float = 0.0
    """Since when spot workers are missing for want of capacity, 0 if none are; and AWS's reason."""
    dry: str = ""
    fallback: int = 0
    """Workers that are on demand in place of spot workers, since when, and since when one of them less is
    tried (0: it is not)."""
    fallback_at: float = 0.0
    trying: float = 0.0
    surplus: int = 0
    """On-demand workers above what the group's share asks for now."""
    fallback_error: str = ""
    fell_back: float = 0.0
    """When the newest fallback began, 0 without any; and when it ended, 0 while it lasts."""
    returned: float = 0.0

    @property
    def spent(self) -> Amount:
        """What was spent; of a range of prices, the higher one."""
        return Amount(self.usd, self.usd, self.missing)


def account(cluster: ClusterDocument, group: AutoScalingGroup) -> Account | None:
    """Return the account of a stack on AWS; None before the first one, and in stacks of earlier versions.

    Raises:
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    # importing boto3 takes a third of a second
    from bootstrap.clouds import aws

    bucket = cluster.shared_storage.removeprefix("s3a://")
    with aws.translate_errors(f"reading s3://{bucket}/{paths.SPENDING}"):
        client: S3Client = aws.session().client("s3", region_name=group.region, config=aws.RETRY)
        found = client.list_objects_v2(Bucket=bucket, Prefix=paths.SPENDING, MaxKeys=1)
        if not found["KeyCount"]:
            return None
        with client.get_object(Bucket=bucket, Key=paths.SPENDING)["Body"] as stream:
            body = stream.read(LONGEST)
    try:
        return Account.model_validate_json(body)
    except ValidationError:
        return None  # of another version


def when(seconds: float) -> str:
    """Return a time of an account for people."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M} UTC"

"""SDK clients of the checks, for an account and a region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bootstrap.clouds import aws

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

HOME: Final = "us-east-1"
"""A region that every account has. One that is not enabled would refuse valid credentials."""


@dataclass(frozen=True)
class Cloud:
    """Clients for a region; they may be shared between threads."""

    region: str
    ec2: EC2Client
    ssm: SSMClient
    autoscaling: AutoScalingClient
    quotas: ServiceQuotasClient
    iam: IAMClient
    kms: Any
    logs: CloudWatchLogsClient
    caller: str = ""
    """ARN of who is asking; empty if AWS did not tell."""

    @classmethod
    def of(cls, session: Session, region: str, caller: str = "") -> Cloud:
        """Create them with the session's credentials, which are not resolved before the first call."""
        # No stubs of KMS are installed.
        kms: Any = session.client("kms", region_name=region, config=aws.RETRY)
        return cls(
            region,
            session.client("ec2", region_name=region, config=aws.RETRY),
            session.client("ssm", region_name=region, config=aws.RETRY),
            session.client("autoscaling", region_name=region, config=aws.RETRY),
            session.client("service-quotas", region_name=region, config=aws.RETRY),
            session.client("iam", region_name=region, config=aws.RETRY),
            kms,
            session.client("logs", region_name=region, config=aws.RETRY),
            caller,
        )


@dataclass(frozen=True)
class Home:
    """Clients for calls that come before the region is known to be enabled."""

    ec2: EC2Client
    sts: STSClient

    @classmethod
    def of(cls, session: Session) -> Home:
        """Create them, as `Cloud.of`; without a connection to AWS they fail within seconds."""
        return cls(
            session.client("ec2", region_name=HOME, config=aws.FAIL_FAST),
            session.client("sts", region_name=HOME, config=aws.FAIL_FAST),
        )

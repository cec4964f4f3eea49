"""Quotas of an account in a region that a stack counts against, and their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from bootstrap.clouds import aws

if TYPE_CHECKING:
    from mypy_boto3_service_quotas import ServiceQuotasClient

    from infra.aws.settings.regions import InstanceType

UNKNOWN: Final = "NoSuchResourceException"
"""Returned by Service Quotas in some accounts for a quota that was never changed; its default applies."""


@dataclass(frozen=True)
class Quota:
    """A quota, as in Service Quotas."""

    name: str
    service: str
    code: str

    def increase(self, region: str, value: int) -> str:
        """Return the command that requests an increase."""
        return (
            f"aws service-quotas request-service-quota-increase --service-code {self.service} "
            f"--quota-code {self.code} --desired-value {value} --region {region}"
        )


# Codes: `aws service-quotas list-service-quotas --service-code ec2` (and vpc). What counts against each:
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-limits.html, ec2-on-demand-instances.html
SPOT_G: Final = Quota("spot, G and VT", "ec2", "L-3819A6DF")
SPOT_STANDARD: Final = Quota("spot, standard", "ec2", "L-34B43A08")
ON_DEMAND_G: Final = Quota("on demand, G and VT", "ec2", "L-DB2E81BA")
ON_DEMAND_STANDARD: Final = Quota("on demand, standard", "ec2", "L-1216C47A")
# "All P4, P3 and P2 Spot Instance Requests", "All P5 Spot Instance Requests", "Running On-Demand P
# instances": names and codes as listings of several accounts in public repositories have them, read on
# 2026-11-30. That p5e and p5en count as P5 is what tools written for these quotas assume; no page of AWS's
# that says so was found.
SPOT_P4: Final = Quota("spot, P4, P3 and P2", "ec2", "L-7212CCBC")
SPOT_P5: Final = Quota("spot, P5", "ec2", "L-C4BD4855")
ON_DEMAND_P: Final = Quota("on demand, P", "ec2", "L-417A185B")
VPCS: Final = Quota("VPCs", "vpc", "L-F678F1CE")
ADDRESSES: Final = Quota("elastic addresses", "ec2", "L-0263D0A3")


def quota_of(kind: InstanceType, *, spot: bool) -> Quota:
    """Return the quota whose vCPUs an instance of that type counts against."""
    if kind.family.startswith("p5"):
        return SPOT_P5 if spot else ON_DEMAND_P
    if kind.family.startswith("p"):
        return SPOT_P4 if spot else ON_DEMAND_P
    if kind.family.startswith("g"):
        return SPOT_G if spot else ON_DEMAND_G
    return SPOT_STANDARD if spot else ON_DEMAND_STANDARD


def granted(client: ServiceQuotasClient, quota: Quota) -> int:
    """Return the quota's value in the client's region.

    Raises:
        Denied: permission servicequotas:GetServiceQuota is missing.
        ServiceDown: AWS does not answer.
    """
    which = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    with aws.translate_errors(f"reading the quota {quota.name}"):
        try:
            answer: Any = client.get_service_quota(**which)
        except ClientError as error:
            if aws.code_of(error) != UNKNOWN:
                raise
            answer = client.get_aws_default_service_quota(**which)
    return int(answer["Quota"]["Value"])

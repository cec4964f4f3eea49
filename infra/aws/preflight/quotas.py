"""Checks of quotas for the stack at its maximum size. EC2 counts vCPUs, by market and family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from bootstrap.clouds import aws
from infra import tags
from infra.aws.preflight.cloud import Cloud
from infra.aws.settings.regions import InstanceType, table
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import TagTypeDef

    from infra.aws.settings.config import AwsConfig

UNKNOWN: Final = "NoSuchResourceException"
"""Returned by Service Quotas in some accounts for a quota that was never changed; its default applies."""


@dataclass(frozen=True)
class Quota:
    """A quota of an account in a region, as in Service Quotas."""

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
VPCS: Final = Quota("VPCs", "vpc", "L-F678F1CE")
ADDRESSES: Final = Quota("elastic addresses", "ec2", "L-0263D0A3")


@dataclass(frozen=True)
class Demand:
    """VCPUs of a quota that a stack may use: `workers` of the `largest` type, and the head's."""

    quota: Quota
    vcpus: int
    words: str
    workers: int
    largest: InstanceType
    head: int


def demands(config: AwsConfig) -> list[Demand]:
    """Return the demand at `maxWorkers` if all workers are of the largest type. Pure."""
    largest = max(config.types, key=lambda kind: kind.vcpus)
    above = config.max_workers - config.on_demand_base
    # Whichever way AWS rounds a percentage of the workers, both markets have enough.
    on_demand = config.on_demand_base + -(-above * config.on_demand_percentage // 100)
    spot = -(-above * (100 - config.on_demand_percentage) // 100)
    # Every type of the table that has GPUs is of a G family.
    gpu = bool(config.gpus)
    head = table().types[config.head_type]
    found = [
        _demand(SPOT_G if gpu else SPOT_STANDARD, spot, largest),
        _demand(ON_DEMAND_G, on_demand, largest) if gpu else None,
        _demand(ON_DEMAND_STANDARD, 0 if gpu else on_demand, largest, head),
    ]
    return [demand for demand in found if demand and demand.vcpus]


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return checks of the quotas that this stack uses."""
    asked = [_vcpu_check(demand, config, stack) for demand in demands(config)]
    asked.append(CloudCheck(_title(VPCS), lambda cloud: [_one_more(cloud, stack, VPCS, _vpcs)]))
    if config.egress == "nat":
        asked.append(
            CloudCheck(_title(ADDRESSES), lambda cloud: [_one_more(cloud, stack, ADDRESSES, _addresses)])
        )
    return asked


def granted(cloud: Cloud, quota: Quota) -> int:
    """Return the quota's value in the region.

    Raises:
        Denied: permission servicequotas:GetServiceQuota is missing.
        ServiceDown: AWS does not answer.
    """
    which = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    with aws.translate_errors(f"reading the quota {quota.name}"):
        try:
            answer: Any = cloud.quotas.get_service_quota(**which)
        except ClientError as error:
            if aws.code_of(error) != UNKNOWN:
                raise
            answer = cloud.quotas.get_aws_default_service_quota(**which)
    return int(answer["Quota"]["Value"])


def _demand(quota: Quota, workers: int, largest: InstanceType, head: InstanceType | None = None) -> Demand:
    own = head.vcpus if head else 0
    parts = [f"{workers} workers as {largest.name}"] if workers else []
    parts += [f"the head as {head.name}"] if head else []
    return Demand(quota, workers * largest.vcpus + own, " and ".join(parts), workers, largest, own)


def _vcpu_check(demand: Demand, config: AwsConfig, stack: str) -> CloudCheck[Cloud]:
    return CloudCheck(
        _title(demand.quota), lambda cloud: [_fits(demand, granted(cloud, demand.quota), config, stack)]
    )


def _fits(demand: Demand, value: int, config: AwsConfig, stack: str) -> Finding:
    """Check that the demand fits into the granted quota. Pure."""
    need = f"{demand.vcpus} vCPUs needed ({demand.words}), {value} granted"
    if demand.vcpus <= value:
        return Finding(_title(demand.quota), "passed", need)
    fix = f"Run `{demand.quota.increase(config.region, demand.vcpus)}` and wait for AWS's answer"
    fitting = max(value - demand.head, 0) // demand.largest.vcpus
    if demand.workers and fitting:
        need += f", which is enough for {fitting}"
        fewer = f"--plaintext maxWorkers={fitting}"
        if fitting < config.workers:
            fewer += f" --plaintext workers={fitting}"
        fix += f", or use fewer workers: `pulumi config set-all {fewer} --stack {stack}`"
    return Finding(_title(demand.quota), "failed", need, f"{fix}.")


def _one_more(
    cloud: Cloud, stack: str, quota: Quota, there: Callable[[Cloud], list[Sequence[TagTypeDef]]]
) -> Finding:
    """Check that the quota allows one more resource, unless the stack already has its own."""
    with aws.translate_errors(f"counting {quota.name}"):
        found = there(cloud)
    ours = tags.cloud_tags(stack)
    theirs = sum(1 for one in found if not tags.is_ours({tag["Key"]: tag["Value"] for tag in one}, ours))
    value = granted(cloud, quota)
    detail = f"{theirs} beside this stack's, of {value}"
    if theirs < value:
        return Finding(_title(quota), "passed", detail)
    return Finding(
        _title(quota),
        "failed",
        f"{detail}: none is left",
        f"Run `{quota.increase(cloud.region, theirs + 1)}`, or delete an unused one.",
    )


def _vpcs(cloud: Cloud) -> list[Sequence[TagTypeDef]]:
    pages = cloud.ec2.get_paginator("describe_vpcs").paginate()
    return [vpc.get("Tags", []) for page in pages for vpc in page["Vpcs"]]


def _addresses(cloud: Cloud) -> list[Sequence[TagTypeDef]]:
    return [address.get("Tags", []) for address in cloud.ec2.describe_addresses()["Addresses"]]


def _title(quota: Quota) -> str:
    return f"quota: {quota.name}"

"""Checks of quotas for the stack as it starts, and at its largest. EC2 counts vCPUs, by market and family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bootstrap.clouds import aws
from infra import tags
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.quota import ADDRESSES, VPCS, Quota, granted, quota_of
from infra.aws.settings.regions import InstanceType, table
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import TagTypeDef

    from infra.aws.settings.config import AwsConfig


@dataclass(frozen=True)
class Demand:
    """Workers that count against a quota, `now` and at `most`, of any of `types`; and the head, maybe.

    `spot` is their market. The group's other types, if any, count against other quotas of it.
    """

    quota: Quota
    now: int
    most: int
    types: tuple[InstanceType, ...]
    head: InstanceType | None = None
    spot: bool = False

    @property
    def smallest(self) -> InstanceType:
        """Type with the fewest vCPUs."""
        return min(self.types, key=lambda kind: kind.vcpus)

    @property
    def largest(self) -> InstanceType:
        """Type with the most vCPUs."""
        return max(self.types, key=lambda kind: kind.vcpus)

    @property
    def least_vcpus(self) -> int:
        """VCPUs without which the stack does not come up: its workers, all of the smallest type."""
        return self.vcpus(self.now, self.smallest)

    @property
    def most_vcpus(self) -> int:
        """VCPUs of the stack at `maxWorkers`, all of the largest type."""
        return self.vcpus(self.most, self.largest)

    def vcpus(self, workers: int, kind: InstanceType) -> int:
        """Return the vCPUs of that many workers of a type, and of the head."""
        return workers * kind.vcpus + (self.head.vcpus if self.head else 0)

    def words(self, workers: int, kind: InstanceType) -> str:
        """Describe what those vCPUs are for."""
        parts = [f"{_count(workers)} as {kind.name}"] if workers else []
        parts += [f"the head as {self.head.name}"] if self.head else []
        return " and ".join(parts)

    def fitting(self, value: int, kind: InstanceType) -> int:
        """Return the number of workers of a type that fit into the quota."""
        return max(value - (self.head.vcpus if self.head else 0), 0) // kind.vcpus


def demands(config: AwsConfig) -> list[Demand]:
    """Return the demand of each quota. Pure."""
    head = table().types[config.head_type]
    now, most = _markets(config, config.workers), _markets(config, config.max_workers)
    if config.fallback_after is not None:
        # At worst all of them come on demand.
        most = (most[0], config.max_workers)
    found = []
    for spot, workers, limit in ((True, now[0], most[0]), (False, now[1], most[1])):
        kinds: dict[Quota, list[InstanceType]] = {}
        for kind in config.types:
            kinds.setdefault(quota_of(kind, spot=spot), []).append(kind)
        found += [Demand(quota, workers, limit, tuple(some), spot=spot) for quota, some in kinds.items()]
    own = quota_of(head, spot=False)
    if any(demand.quota == own for demand in found):
        found = [replace(demand, head=head) if demand.quota == own else demand for demand in found]
    else:
        found.append(Demand(own, 0, 0, config.types, head))
    return [demand for demand in found if demand.most_vcpus]


def _markets(config: AwsConfig, workers: int) -> tuple[int, int]:
    """Return how many of that many workers may be spot, and on demand, outside a reservation."""
    if config.reservation:
        return 0, 0  # whoever reserved them had the quota
    base = min(config.on_demand_base, workers)
    above = workers - base
    # Whichever way AWS rounds a percentage of the workers, both markets have enough.
    on_demand = base + -(-above * config.on_demand_percentage // 100)
    return -(-above * (100 - config.on_demand_percentage) // 100), on_demand


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return checks of the quotas that this stack uses."""
    needs = demands(config)
    asked = [_vcpu_check(demand, _beside(demand, needs), config, stack) for demand in needs]
    if config.vpc:
        return asked
    asked.append(CloudCheck(_title(VPCS), lambda cloud: [_one_more(cloud, stack, VPCS, _vpcs)]))
    if config.egress == "nat":
        asked.append(
            CloudCheck(_title(ADDRESSES), lambda cloud: [_one_more(cloud, stack, ADDRESSES, _addresses)])
        )
    return asked


def _beside(demand: Demand, needs: Sequence[Demand]) -> list[Demand]:
    """Return the demands of the other quotas by which the same workers may start."""
    return [
        other
        for other in needs
        if other is not demand and other.now and demand.now and other.spot == demand.spot
    ]


def _vcpu_check(demand: Demand, others: Sequence[Demand], config: AwsConfig, stack: str) -> CloudCheck[Cloud]:
    def look(cloud: Cloud) -> list[Finding]:
        found = _fits(demand, granted(cloud.quotas, demand.quota), config, stack)
        if found.failed and demand.head is None:
            enough = [one for one in others if one.least_vcpus <= granted(cloud.quotas, one.quota)]
            if enough:
                kinds = ", ".join(kind.name for one in enough for kind in one.types)
                found = replace(found, verdict="note", detail=f"{found.detail}; the group starts {kinds}")
        return [found]

    return CloudCheck(_title(demand.quota), look)


def _fits(demand: Demand, value: int, config: AwsConfig, stack: str) -> Finding:
    """Compare the demand with the granted quota: of the stack as it starts, and of the largest it may be.

    A group tries every type of its list, so that it starts if its workers fit as the smallest one. Pure.
    """
    name, largest = _title(demand.quota), demand.largest
    if demand.most_vcpus <= value:
        words = demand.words(demand.most, largest)
        return Finding(name, "passed", f"{demand.most_vcpus} vCPUs at most ({words}), {value} granted")
    increase = f"`{demand.quota.increase(config.region, demand.most_vcpus)}` and wait for AWS's answer"
    if demand.least_vcpus > value:
        smallest = demand.smallest
        words = demand.words(demand.now, smallest)
        need = f"{demand.least_vcpus} vCPUs needed ({words}), {value} granted"
        fitting = demand.fitting(value, smallest)
        if demand.now and fitting:
            fewer = f"pulumi config set-all --plaintext workers={fitting} --plaintext maxWorkers={fitting}"
            return Finding(
                name,
                "failed",
                f"{need}, which is enough for {fitting}",
                f"Run {increase}, or use fewer workers: `{fewer} --stack {stack}`.",
            )
        return Finding(name, "failed", need, f"Run {increase}.")
    kept = [kind for kind in demand.types if demand.vcpus(demand.now, kind) <= value]
    if len(kept) < len(demand.types):
        big = ", ".join(kind.name for kind in demand.types if kind not in kept)
        detail = (
            f"{value} vCPUs granted: enough for {demand.words(demand.now, demand.smallest)}, not for "
            f"{_count(demand.now)} as {largest.name}; the group starts as many as fit"
        )
        dropped = [kind for kind in demand.types if kind not in kept]
        fix = f"Run `{_drop(dropped, config, stack)}` (drops {big}), or {increase}."
        return Finding(name, "note", detail, fix)
    if config.fallback_after is not None and not demand.spot:
        detail = (
            f"{value} vCPUs granted: enough for {_count(demand.fitting(value, demand.smallest))} as "
            f"{demand.smallest.name}, and without spot capacity up to {config.max_workers} come on demand "
            f"(fallbackAfter; {demand.most_vcpus} vCPUs)"
        )
        return Finding(name, "note", detail, f"Before spot is dry, run {increase}.")
    fitting = demand.fitting(value, largest)
    detail = (
        f"{value} vCPUs granted: enough for {_count(fitting)} as {largest.name}, and maxWorkers is "
        f"{config.max_workers} ({demand.most_vcpus} vCPUs)"
    )
    return Finding(name, "note", detail, f"Before the group grows that far, run {increase}.")


def _drop(big: Sequence[InstanceType], config: AwsConfig, stack: str) -> str:
    """Return the command that takes these types out of `instanceTypes`."""
    kept = [kind for kind in config.types if kind not in big]
    if "instance_types" not in config.model_fields_set:
        # The default list is not in the stack's file: write a shorter one.
        entries = (f"--plaintext 'instanceTypes[{place}]={kind.name}'" for place, kind in enumerate(kept))
        return f"pulumi config set-all --path {' '.join(entries)} --stack {stack}"
    names = {kind.name for kind in kept}
    dropped = [place for place, name in enumerate(config.instance_types) if name not in names]
    # From the end on: a removal renumbers what follows.
    return " && ".join(
        f"pulumi config rm --path 'instanceTypes[{place}]' --stack {stack}" for place in reversed(dropped)
    )


def _count(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"


def _one_more(
    cloud: Cloud, stack: str, quota: Quota, there: Callable[[Cloud], list[Sequence[TagTypeDef]]]
) -> Finding:
    """Check that the quota allows one more resource, unless the stack already has its own."""
    with aws.translate_errors(f"counting {quota.name}"):
        found = there(cloud)
    ours = tags.cloud_tags(stack)
    theirs = sum(1 for one in found if not tags.is_ours({tag["Key"]: tag["Value"] for tag in one}, ours))
    value = granted(cloud.quotas, quota)
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

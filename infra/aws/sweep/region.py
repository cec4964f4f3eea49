"""Search of one region: clients, filters and prices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from infra.aws.cost.prices import RegionPrices
from infra.aws.sweep.kinds import cli, rank
from infra.sweep.leak import Leak
from infra.tags import PROJECT, PROJECT_TAG, STACK_TAG

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class RegionSearch:
    """A region to search: its clients, the stack to look for (None: any), and its prices."""

    region: str
    ec2: EC2Client
    autoscaling: AutoScalingClient
    logs: CloudWatchLogsClient
    ssm: SSMClient
    stack: str | None
    prices: RegionPrices
    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    """Kind → id → stack of the leftovers found so far, with which attached resources are deleted."""

    @property
    def filters(self) -> list[FilterTypeDef]:
        """Filters by the project's tags, for EC2 and Auto Scaling."""
        found: list[FilterTypeDef] = [{"Name": f"tag:{PROJECT_TAG}", "Values": [PROJECT]}]
        return found if self.stack is None else [*found, {"Name": f"tag:{STACK_TAG}", "Values": [self.stack]}]

    def cli(self, *words: str) -> str:
        """Format an AWS CLI command for this region."""
        return cli(*words, region=self.region)

    def leak(
        self,
        kind: str,
        id_: str,
        tags: Mapping[str, str],
        usd: Decimal | None,
        command: str,
        *,
        name: str = "",
        before: str = "",
    ) -> Leak:
        """Return a leftover of this region, and remember it."""
        stack = tags.get(STACK_TAG, "")
        self.seen.setdefault(kind, {})[id_] = stack
        return Leak(
            self.region, kind, id_, name or tags.get("Name", ""), stack, usd, command, rank(kind), before
        )

    def has(self, kind: str, id_: str | None) -> bool:
        """Return whether a resource has been found."""
        return id_ in self.seen.get(kind, ())


Finder = Callable[[RegionSearch], Iterator[Leak]]
"""Yields leftovers of one kind and remembers them in the search."""

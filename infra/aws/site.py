"""Place of a stack's machines: their zones, and the head's address. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.aws import network_plan

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig


@dataclass(frozen=True)
class Site:
    """Where head and workers are. `head_address` is private and fixed: workers' scripts contain it."""

    head_zone: str
    zones: tuple[str, ...]
    """Of the workers."""
    head_address: str

    @property
    def all_zones(self) -> tuple[str, ...]:
        """Every zone, the head's first."""
        return tuple(dict.fromkeys((self.head_zone, *self.zones)))


def planned(config: AwsConfig) -> Site:
    """Return the site in the network that the stack creates."""
    plan = network_plan.plan(config.cidr, config.zones)
    return Site(config.zones[0], config.zones, str(plan.head_address))

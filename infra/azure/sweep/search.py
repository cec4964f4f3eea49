"""Search of one subscription: resources with the project's tags, and everything in its resource groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from infra.azure.arm import HDINSIGHT, RESOURCES, Arm, Document
from infra.azure.cost.prices import Prices, RegionPrices
from infra.azure.settings import sizes
from infra.azure.sweep.kinds import CLUSTER, FREE_KINDS, GROUP, az, kind_of, rank
from infra.sweep.leak import FREE, GLOBAL, Leak, month
from infra.tags import PROJECT, PROJECT_TAG, STACK_TAG, is_projects, of_azure

OURS: Final = f"tagName eq '{PROJECT_TAG}' and tagValue eq '{PROJECT}'"
DELETING: Final = "Deleting"
"""State of a resource group that is being deleted with its contents."""
HOURLY: Final = {
    "NAT gateway": "nat_hour",
    "public IP address": "ipv4_hour",
    "private endpoint": "endpoint_hour",
}
"""Kind → key of `prices.Services`."""


@dataclass(frozen=True)
class SubscriptionSearch:
    """A subscription to search, for a stack (None: any) and in regions (None: all)."""

    subscription: str
    arm: Arm
    prices: Prices
    stack: str | None
    regions: frozenset[str] | None

    @property
    def scope(self) -> str:
        """Scope of requests to the subscription."""
        return f"/subscriptions/{self.subscription}"


def find(search: SubscriptionSearch) -> list[Leak]:
    """Find resource groups with the project's tags, their contents, and tagged resources elsewhere.

    Errors are the SDK's own.
    """
    groups = list(search.arm.list_all(f"{search.scope}/resourcegroups", RESOURCES, **{"$filter": OURS}))
    tagged = list(search.arm.list_all(f"{search.scope}/resources", RESOURCES, **{"$filter": OURS}))
    found = []
    ours = {str(group["id"]).lower(): group for group in groups if _wanted(search, group.get("tags"))}
    for group in ours.values():
        if group.get("properties", {}).get("provisioningState") == DELETING:
            continue
        path = f"{search.scope}/resourceGroups/{group['name']}/resources"
        # HDInsight creates untagged resources beside a cluster.
        inside = search.arm.list_all(path, RESOURCES)
        found += [_leak(search, one, group) for one in inside if _here(search, one)]
        if _here(search, group):
            found.append(_group(search, group))
    known = {leak.id.lower() for leak in found}
    found += [
        _leak(search, one, None)
        for one in tagged
        if _wanted(search, one.get("tags"))
        and _here(search, one)
        and str(one["id"]).lower() not in known
        and group_id(str(one["id"])) not in ours
    ]
    return found


def _wanted(search: SubscriptionSearch, tags: Mapping[str, str] | None) -> bool:
    return is_projects(of_azure(tags), search.stack)


def _stack(one: Document | None) -> str:
    return of_azure((one or {}).get("tags")).get(STACK_TAG, "")


def _here(search: SubscriptionSearch, one: Document) -> bool:
    return search.regions is None or str(one.get("location", "")).lower() in search.regions


def group_id(id_: str) -> str:
    """Return the id, in lower case, of the resource group that a resource is in. Pure."""
    before, between, after = id_.lower().partition("/resourcegroups/")
    return f"{before}{between}{after.partition('/')[0]}"


def _group(search: SubscriptionSearch, group: Document) -> Leak:
    name = str(group["name"])
    command = az("group", "delete", "--name", name, "--yes", subscription=search.subscription)
    return Leak(
        str(group["location"]), GROUP, str(group["id"]), name, _stack(group), FREE, command, rank(GROUP)
    )


def _leak(search: SubscriptionSearch, one: Document, group: Document | None) -> Leak:
    """Return a leftover; an untagged one belongs to the stack of its group."""
    kind, name, location = kind_of(str(one["type"])), str(one["name"]), str(one.get("location", ""))
    stack = _stack(one) or _stack(group)
    if kind == CLUSTER:
        words = ("hdinsight", "delete", "--name", name, "--resource-group", _group_name(one), "--yes")
        command = az(*words, subscription=search.subscription)
    else:
        command = az("resource", "delete", "--ids", str(one["id"]), subscription=search.subscription)
    region = GLOBAL if location.lower() in ("", "global") else location
    return Leak(region, kind, str(one["id"]), name, stack, _price(search, kind, one), command, rank(kind))


def _group_name(one: Document) -> str:
    parts = str(one["id"]).split("/")
    return parts[[part.lower() for part in parts].index("resourcegroups") + 1]


def _price(search: SubscriptionSearch, kind: str, one: Document) -> Decimal | None:
    """Return USD a month; None if it is billed by the gigabyte, or not known."""
    if kind in FREE_KINDS:
        return FREE
    here = search.prices.of(str(one.get("location", "")).lower().replace(" ", ""))
    if kind == CLUSTER:
        cluster = search.arm.find(str(one["id"]), HDINSIGHT)
        roles = (cluster or {}).get("properties", {}).get("computeProfile", {}).get("roles", [])
        return _sum(month(_nodes(here, role)) for role in roles) if roles else None
    key = HOURLY.get(kind)
    return None if key is None else month(getattr(here.services, key))


def _nodes(here: RegionPrices, role: Document) -> Decimal | None:
    """Return USD for an hour of all machines in a role."""
    size = str(role.get("hardwareProfile", {}).get("vmSize", ""))
    known = sizes.table().find(size)
    hour = here.node(known.name) if known else None
    return None if hour is None else hour * int(role.get("targetInstanceCount", 0))


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    known = list(amounts)
    return None if None in known else sum((one for one in known if one is not None), FREE)

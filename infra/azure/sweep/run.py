"""Search of all subscriptions of the login, in parallel."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from rich.console import Console

from bootstrap.clouds import azure
from bootstrap.console import print_line
from bootstrap.errors import CaffeSparkError, ConfigError
from infra.azure import subscription
from infra.azure.arm import Arm, Document
from infra.azure.cost import prices
from infra.azure.settings import sizes
from infra.azure.sweep.kinds import ACCOUNT, CLUSTER, GROUP
from infra.azure.sweep.search import SubscriptionSearch, find, group_id
from infra.sweep.leak import Leak, Results, Unsearched
from infra.sweep.report import SweepResult, counted, print_report

AT_ONCE: Final = 4
KEPT: Final = frozenset({ACCOUNT, GROUP})
"""Kinds of a storage stack's resources; any other kind with its tags is a leftover."""


def sweep(
    stack: str | None,
    regions: Sequence[str] | None,
    console: Console,
    *,
    alive: Collection[str] = (),
    storage: Collection[str] = (),
    subscription_id: str | None = None,
) -> SweepResult:
    """Search for resources with the project's tags, print the report, and return it.

    `stack` restricts the search to one stack, `regions` to some regions, `subscription_id` to one
    subscription; None is everything. `alive` stacks exist, so that their resources are in use. `storage`
    stacks, by their files, outlive clusters: their accounts are kept, whether they exist here or not, unless
    such a stack itself is given.

    If something could not be searched, the result is not `clean`, whatever was found.

    Raises:
        ConfigError: nobody is logged in, or the login is not valid; a region does not exist; or there is no
            subscription.
        ServiceDown: Azure cannot be reached at all.
    """
    _check(regions)
    arm, named = Arm.of(azure.FAIL_FAST), stack or ""
    there = (
        [subscription.select(arm, subscription_id, named, {})]
        if subscription_id
        else subscription.list_all(arm, named)
    )
    if not there:
        raise ConfigError("Azure (listing subscriptions)", "this login has none", "Run `az login`.")
    where = f"{counted(len(there), 'subscription')} of Azure"
    print_line(console, f"searching {where}")
    table, patient = prices.load(), Arm.of(azure.RETRY)
    wanted = None if regions is None else frozenset(regions)
    searches = [
        SubscriptionSearch(str(one["subscriptionId"]), patient, table, stack, wanted) for one in there
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(
            pool.map(lambda both: _search(both[0], both[1], named), zip(searches, there, strict=True))
        )
    leaks = sorted((leak for one in results for leak in one.leaks), key=lambda leak: leak.order)
    in_use = [leak for leak in leaks if leak.stack and leak.stack in alive and leak.stack not in storage]
    kept = [leak for leak in leaks if leak not in in_use and _kept(leak, stack, alive, storage)]
    found = SweepResult(
        where=where,
        regions=tuple(regions or ()),
        stack=stack,
        leaks=with_groups(leak for leak in leaks if leak not in in_use and leak not in kept),
        in_use=tuple(in_use),
        unsearched=tuple(gap for one in results for gap in one.unsearched),
        kept=tuple(kept),
    )
    print_report(found, console)
    return found


def with_groups(leaks: Iterable[Leak]) -> tuple[Leak, ...]:
    """Replace commands of resources in a group that is deleted as well; a cluster, which costs most, is
    deleted first. Pure."""
    there = tuple(leaks)
    groups = {leak.id.lower(): leak.name for leak in there if leak.kind == GROUP}
    found = []
    for leak in there:
        group = groups.get(group_id(leak.id))
        if group is not None and leak.kind not in (CLUSTER, GROUP):
            found.append(replace(leak, command=f"# {leak.kind} {leak.name} goes with resource group {group}"))
        else:
            found.append(leak)
    return tuple(found)


def _check(regions: Sequence[str] | None) -> None:
    known = sizes.table().regions
    for name in regions or ():
        if name not in known:
            raise ConfigError(
                f"region {name!r}", f"Azure has {', '.join(sorted(known))}", "Use one of these, or none."
            )


def _kept(leak: Leak, stack: str | None, alive: Collection[str], storage: Collection[str]) -> bool:
    """Return whether a resource belongs to storage that outlives clusters."""
    if leak.stack not in storage or leak.kind not in KEPT:
        return False
    return leak.stack in alive or stack is None


def _search(search: SubscriptionSearch, found: Document, stack: str) -> Results:
    """Search a subscription; one that cannot be searched does not stop the others."""
    results = Results()
    name = str(found.get("displayName") or search.subscription)
    try:
        with azure.translate_errors(f"searching subscription {name}", stack):
            results.leaks += find(search)
    except CaffeSparkError as error:
        results.unsearched.append(Unsearched(f"subscription {name}", "everything", error.why))
    return results

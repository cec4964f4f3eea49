"""Markets of the workers, as EC2 tells them, and the group's on-demand base. Standard library only."""

import sys
from typing import Any, Callable, Dict, Mapping, Sequence
from xml.etree import ElementTree

from bootstrap.join.on_node import fallback
from bootstrap.join.on_node.account import Instance, on_demand_of
from bootstrap.join.on_node.group import (
    Group,
    describe,
    failed_launches,
    instance_markets,
    set_on_demand_base,
)

MOST_SAID = 500
"""Characters of a failure that is told."""
UNKNOWN = "EC2 has not told which workers are spot instances; `journalctl -u caffe-spark-spending` has why"
UNTOLD = RuntimeError, OSError, ValueError, ElementTree.ParseError
"""Failures of a request, in spite of which the account goes on."""


def told(group: Group) -> Group:
    """Return the group with the markets of its instances, as far as EC2 tells them."""
    if not group.instances:
        return group
    try:
        known = instance_markets()
    except UNTOLD as error:
        print("markets of workers: {}".format(error), file=sys.stderr)
        return group
    return group._replace(instances=[one._replace(market=known.get(one.id, "")) for one in group.instances])


def on_demand(group: Group, instances: Sequence[Instance], limits: Mapping[str, Any]) -> int:
    """Return how many of the instances without a known market count as on demand."""
    untold = sum(1 for one in instances if not one.market)
    if untold < len(instances):
        # EC2 does not list the newest ones yet; the dearer market is charged for that minute.
        return untold
    base = max(group.base, limits.get("on_demand_base", 0))
    return on_demand_of(untold, base, limits.get("on_demand_percentage", 0))


def fall_back(
    account: Dict[str, Any],
    group: Group,
    limits: Mapping[str, Any],
    now: float,
    newest: Callable[[], Mapping[str, Any]],
) -> bool:
    """Raise or lower the group's on-demand base as `fallbackAfter` says; return whether there is news.

    `newest` reads the limits again. A `pulumi up` without the setting writes the limits first, and then sets
    the stack's own base. So if the base is set here after that, the limits that are read next say so, and it
    is taken back.
    """
    before, rule = {name: account[name] for name in fallback.FIELDS}, fallback.rule(limits)
    try:
        if rule is None:
            if account["fallback"]:
                # Also where this program has ended between a change and the look at the limits.
                _set(int(limits.get("on_demand_base", 0)))
            fallback.reset(account)
        else:
            base = fallback.follow(account, group, failed_launches(), rule, now)
            if base != group.base and _set(base):
                found = newest()
                if fallback.rule(found) is None:
                    _set(int(found.get("on_demand_base", 0)))
                    fallback.reset(account)
            account["fallback_error"] = ""
            if group.instances and not any(one.market for one in group.instances):
                account["fallback_error"] = UNKNOWN
    except UNTOLD as error:
        # The next look attempts it again.
        account["fallback_error"] = " ".join(str(error).split())[:MOST_SAID]
        print("on-demand base: {}".format(error), file=sys.stderr)
    if account["fallback"] and not before["fallback"]:
        account.update(fell_back=now, returned=0.0)
    elif before["fallback"] and not account["fallback"]:
        account["returned"] = now
    return before != {name: account[name] for name in fallback.FIELDS}


def _set(base: int) -> bool:
    """Set the group's on-demand base, if it has another one; return whether it had.

    The request has the whole distribution: as it is now, not as it was before other requests.
    """
    group = describe()
    if group.base == base:
        return False
    set_on_demand_base(group, base)
    print("on-demand base {}, was {}".format(base, group.base), file=sys.stderr)
    return True

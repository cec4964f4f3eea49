"""Lines of `fab workers` about on-demand workers in place of spot workers (`fallbackAfter`). Pure.

The head keeps the account that they are made of (`bootstrap.join.on_node.fallback`).
"""

from __future__ import annotations

from bootstrap.cluster import AutoScalingGroup
from bootstrap.inventory.account import Account, when


def lines(group: AutoScalingGroup, found: Account) -> list[str]:
    """Return the lines; none while there is spot capacity."""
    refused = (
        [f"spot     the on-demand share could not be changed: {found.fallback_error}"]
        if found.fallback_error
        else []
    )
    if group.fallback_seconds is None:
        # Of a share that is still to be taken back.
        return refused
    shown = []
    if found.fallback:
        again = (
            f"spot is tried again since {when(found.trying)}" if found.trying else "spot is tried again later"
        )
        shown.append(
            f"spot     {_workers(found.fallback)} on demand in its place, as of {when(found.fallback_at)}; "
            f"{again}{_reason(found)}"
        )
    elif found.dry_since:
        shown.append(
            f"spot     dry since {when(found.dry_since)}; missing workers come on demand after "
            f"{group.fallback_seconds // 60} min{_reason(found)}"
        )
    if found.surplus and (found.trying or not found.fallback):
        one = (
            "aws autoscaling terminate-instance-in-auto-scaling-group --instance-id ID "
            f"--no-should-decrement-desired-capacity --region {group.region}"
        )
        shown.append(
            f"spot     {_workers(found.surplus)} on demand until the group replaces them or they end; "
            f"`{one}` replaces one at once"
        )
    return shown + refused


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"


def _reason(found: Account) -> str:
    return f": {found.dry}" if found.dry else ""

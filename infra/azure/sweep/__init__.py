"""Search of Azure's subscriptions for leftover resources, for `fab sweep`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from infra.azure.sweep import run
from infra.settings.stack_file import declared


def sweep(
    stack: str | None,
    regions: Sequence[str] | None,
    *,
    root: Path,
    console: Console,
    alive: Collection[str],
) -> bool:
    """Search the stack's own subscription, or all. Returns True if nothing is left but storage stacks."""
    stacks = declared(root)
    return run.sweep(
        stack,
        regions,
        console,
        alive=alive,
        storage=[name for name, one in stacks.items() if one.get("part") == "storage"],
        subscription_id=stacks.get(stack or "", {}).get("subscription"),
    ).clean

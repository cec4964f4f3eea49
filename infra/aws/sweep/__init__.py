"""Search of an AWS account for leftover resources, for `fab sweep`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from infra.aws.sweep import run


def sweep(
    stack: str | None,
    regions: Sequence[str] | None,
    *,
    root: Path,
    console: Console,
    alive: Collection[str],
) -> bool:
    """Search the account. Returns True if nothing is left."""
    return run.sweep(stack, regions, console, alive=alive).clean

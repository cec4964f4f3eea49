"""Search of an AWS account for what stacks have left, for `fab sweep`."""

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
    """Search the account; True: nothing is left."""
    return run.sweep(stack, regions, console, alive=alive).clean

"""Leftovers of stacks on this machine: `pulumi destroy` leaves none (see `infra.local.network`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def sweep(
    stack: str | None,
    regions: Sequence[str] | None,
    *,
    root: Path,
    console: Console,
    alive: Collection[str],
) -> bool:
    """Search nothing: `pulumi destroy` removes what a stack has on this machine, recorded or not."""
    return True

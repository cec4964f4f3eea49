"""Regions of a stack on this machine: none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infra.local.refusal import not_in_a_cloud

if TYPE_CHECKING:
    from rich.console import Console

    from infra.local.settings.config import LocalConfig


def offers(config: LocalConfig, stack: str, *, root: Path, console: Console) -> None:
    """Refuse: a stack on this machine has no region.

    Raises:
        ConfigError: always.
    """
    raise not_in_a_cloud(stack, root)

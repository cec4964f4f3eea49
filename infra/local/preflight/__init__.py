"""Checks of this machine, which `pulumi up` runs before its first resource; `fab preflight` has none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local.refusal import not_in_a_cloud

if TYPE_CHECKING:
    from rich.console import Console

    from infra.local.settings.config import LocalConfig
    from infra.preflight.finding import Finding


def preflight(
    config: LocalConfig, stack: str, *, root: Path, console: Console, env: Mapping[str, str]
) -> list[Finding]:
    """Refuse: `pulumi up` itself checks what a stack on this machine needs.

    Raises:
        ConfigError: always.
    """
    raise not_in_a_cloud(stack, root)

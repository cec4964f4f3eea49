"""Checks of a stack on AWS before its first resource, for `fab preflight`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from infra.aws.preflight.run import check
from infra.aws.settings.config import AwsConfig
from infra.preflight.finding import Finding

__all__ = ["check", "preflight"]


def preflight(
    config: AwsConfig, stack: str, *, root: Path, console: Console, env: Mapping[str, str]
) -> list[Finding]:
    """Check the stack and print each finding."""
    return check(config, stack, console=console, env=env, root=root)

"""Error for commands that only stacks in a cloud support."""

from __future__ import annotations

from pathlib import Path

from bootstrap.errors import ConfigError
from infra import registry
from infra.settings.stack_file import declared


def not_in_a_cloud(stack: str, root: Path) -> ConfigError:
    """Return the error, naming the stacks in a cloud that have files below `root`."""
    clouds = [provider.name for provider in registry.clouds()]
    others = ", ".join(name for name, said in declared(root).items() if said.get("provider") in clouds)
    return ConfigError(
        f"stack {stack!r}",
        "it runs on this machine: it costs nothing, and `pulumi up` itself checks what it needs",
        f"Name a stack in a cloud with --stack (there are files for: {others}).",
    )

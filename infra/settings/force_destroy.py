"""Protection of a stack's data against `pulumi destroy`: the `forceDestroy` setting, in every cloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from infra.settings import stack_file

GIB: Final = 2**30
SHOWN: Final = 6
"""Folders that a message names; it counts all objects."""


def summarize(kept: Sequence[tuple[str, int]], noun: str) -> str:
    """Summarize objects given as (name, bytes): their number, size and folders. Pure."""
    folders = sorted({f"{name.partition('/')[0]}/" if "/" in name else name for name, _ in kept})
    size = sum(size for _, size in kept) / GIB
    one = f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
    count = f"{len(kept)} {noun}s" if len(kept) > 1 else one
    return f"{count} ({size:.1f} GiB: {', '.join(folders[:SHOWN])})"


def is_forced(stack: str) -> bool:
    """Return whether the stack file says `forceDestroy` now; the state has the value from when the storage
    was created."""
    # YAML's own true, or the text that `pulumi config set` writes.
    return str(stack_file.read(stack).get("forceDestroy")).lower() == "true"

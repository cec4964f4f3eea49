"""What destroying a stack would take along: how it is told, and whether it may go, in every cloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from infra.settings import stack_file

GIB: Final = 2**30
SHOWN: Final = 6
"""Folders that a line names; it counts all."""


def summary(kept: Sequence[tuple[str, int]], noun: str) -> str:
    """How much there is of what is given as (name, bytes), and in which folders. Pure."""
    folders = sorted({f"{name.partition('/')[0]}/" if "/" in name else name for name, _ in kept})
    size = sum(size for _, size in kept) / GIB
    one = f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
    count = f"{len(kept)} {noun}s" if len(kept) > 1 else one
    return f"{count} ({size:.1f} GiB: {', '.join(folders[:SHOWN])})"


def forced(stack: str) -> bool:
    """Whether the stack's file says so now: the engine knows what it said when the storage was made."""
    # YAML's own true, or the text that `pulumi config set` writes.
    return str(stack_file.read(stack).get("forceDestroy")).lower() == "true"

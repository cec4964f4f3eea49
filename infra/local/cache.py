"""The operator's cache folder, which outlives every stack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bootstrap.locks import take
from bootstrap.operator_cache import operator_cache
from infra.provider import say

LOCK_LIMIT = 3600.0
"""Seconds to wait for another process: an image that is pulled and built takes minutes."""


def cache_folder() -> Path:
    """Return the folder, created if it does not exist."""
    folder = operator_cache()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock among all processes and threads of this user; it is released when its holder dies.

    Raises:
        CaffeSparkError: another process held it for longer than LOCK_LIMIT.
    """
    with (cache_folder() / f"{name}.lock").open("w") as file:
        take(file, f"the {name.replace('-', ' ')} of local stacks", LOCK_LIMIT, say)
        yield

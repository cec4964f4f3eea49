"""The operator's cache folder, which outlives every stack."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bootstrap.operator_cache import operator_cache


def cache_folder() -> Path:
    """Return the folder, created if it does not exist."""
    folder = operator_cache()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock among all processes and threads of this user; it is released when its holder dies."""
    with (cache_folder() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

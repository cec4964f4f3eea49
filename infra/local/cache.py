"""The user's cache folder: what outlives every stack."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_dir

from infra.tags import PROJECT


def cache_folder() -> Path:
    """The folder, made when it is not there."""
    folder = Path(user_cache_dir(PROJECT))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock among all processes and threads of this user; it is freed when its holder dies."""
    with (cache_folder() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""Temporary names that no other process, thread or machine uses."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def token() -> str:
    """Return a unique token for names on nodes and in shared storage, which operators share."""
    return secrets.token_hex(8)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path that atomically replaces `path` at the end; on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{token()}")
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)

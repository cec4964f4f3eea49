"""Sums of files, read in blocks: an artefact may be larger than the memory at hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

BLOCK = 1 << 20
"""Bytes."""


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()

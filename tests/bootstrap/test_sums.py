"""Sums of files that are larger than the memory to spare."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bootstrap.errors import IntegrityError
from bootstrap.framework import cache
from bootstrap.framework.manifest import ARCHIVE, MANIFEST, Manifest
from bootstrap.sums import sha256_of
from jobs.datasets import mnist

SIZE = 64 << 20
AT_MOST = 8 << 20


@contextmanager
def little_memory() -> Iterator[None]:
    """Fail if Python allocates more than AT_MOST bytes in this block."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < AT_MOST


def of_zeros(path: Path, size: int = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)  # sparse
    return path


def test_a_large_file_is_summed_in_little_memory(tmp_path: Path) -> None:
    file = of_zeros(tmp_path / "file", SIZE + 1)

    with little_memory():
        found = sha256_of(file)

    assert found == hashlib.sha256(bytes(SIZE + 1)).hexdigest()


def test_an_empty_file_has_the_sum_of_nothing(tmp_path: Path) -> None:
    assert sha256_of(of_zeros(tmp_path / "file", 0)) == hashlib.sha256().hexdigest()


def cached(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Verify an artefact of the cache."""
    manifest = Manifest.model_validate(
        {
            "key": "0" * 20,
            "sha256": hashlib.sha256(b"another").hexdigest(),
            "size": 1,
            "unpacked": 1,
            "packages": [],
            "inputs": {"distribution": "debian-12"},
            "built": {"by": "", "host": "", "project": "", "at": "2026-01-01", "cores": 1, "seconds": 1},
        }
    )
    monkeypatch.setattr(cache, "operator_cache", lambda: folder)
    of_zeros(cache.folder(manifest.key) / ARCHIVE)
    (cache.folder(manifest.key) / MANIFEST).write_bytes(manifest.to_bytes())
    with little_memory(), pytest.raises(IntegrityError):
        cache.find(manifest.key)


def raw_files(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Verify the raw files of MNIST."""
    first = next(iter(mnist.FILES))
    of_zeros(folder / first)
    with little_memory():
        assert first in mnist.wrong(folder)


@pytest.mark.parametrize("verify", [cached, raw_files])
def test_whatever_is_verified_here_needs_little_memory(
    verify: Callable[[pytest.MonkeyPatch, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify(monkeypatch, tmp_path)

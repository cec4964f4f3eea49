"""Verified copies of artefacts on the operator's machine, outside any stack.

A new stack, or one rebuilt after `pulumi destroy`, takes artefacts from here instead of compiling again.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import IntegrityError
from bootstrap.framework.manifest import ARCHIVE, MANIFEST, Manifest
from bootstrap.operator_cache import operator_cache
from bootstrap.sums import sha256_of

TRIES = 10
"""Attempts to put an artefact in place while other processes do the same, or remove a damaged one."""


@dataclass(frozen=True)
class Cached:
    """An artefact in the cache whose bytes have just been verified."""

    archive: Path
    manifest: Manifest


def folder(key: str) -> Path:
    """Return the folder of the artefact with that key, present or not."""
    return operator_cache() / "frameworks" / "caffe" / key


def find(key: str) -> Cached | None:
    """Return the artefact with that key, verified; None when there is none.

    Raises:
        IntegrityError: it is damaged; it has been removed, so the next call gives None.
    """
    place = folder(key)
    try:
        document = (place / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        manifest = Manifest.from_bytes(document, str(place / MANIFEST))
        _verify(place / ARCHIVE, manifest, key)
    except IntegrityError:
        _drop(place)
        raise
    return Cached(place / ARCHIVE, manifest)


@contextmanager
def adding(manifest: Manifest) -> Iterator[Path]:
    """Yield a path to write the archive to; at the end verify it and put it in place in one rename.

    An artefact of that key that another process has put there meanwhile stays.

    Raises:
        IntegrityError: what was written does not have the manifest's sha256; nothing is kept.
    """
    place = folder(manifest.key)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=place.parent) as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        yield new / ARCHIVE
        _verify(new / ARCHIVE, manifest, manifest.key)
        (new / MANIFEST).write_bytes(manifest.to_bytes())
        _put(new, place, manifest.key)


def _put(new: Path, place: Path, key: str) -> None:
    """Rename `new` to `place`, unless a valid artefact is there."""
    for attempt in range(TRIES):
        try:
            new.rename(place)
            return
        except OSError as error:  # a folder that is not empty is there
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == TRIES - 1:
                raise
        with suppress(IntegrityError):  # a damaged one is removed by `find`
            if find(key) is not None:
                return
            _drop(place)  # without a manifest it is none


def _drop(place: Path) -> None:
    """Remove a folder, renamed first so that no other process sees half of it."""
    with tempfile.TemporaryDirectory(prefix=".dropping-", dir=place.parent) as scratch, suppress(OSError):
        place.rename(Path(scratch) / "old")


def manifests() -> list[Manifest]:
    """Return every readable manifest of the cache, newest first."""
    found = []
    for file in folder("any").parent.glob(f"*/{MANIFEST}"):
        try:
            found.append(Manifest.from_bytes(file.read_bytes(), str(file)))
        except (IntegrityError, OSError):
            continue
    return sorted(found, key=lambda manifest: manifest.built.at, reverse=True)


def _verify(archive: Path, manifest: Manifest, key: str) -> None:
    try:
        got = sha256_of(archive)
    except OSError:  # somebody else may remove it at any moment
        got = "that of no file"
    if got != manifest.sha256 or manifest.key != key:
        raise IntegrityError(
            f"cached framework {archive}",
            f"its sha256 is {got}, and its manifest ({manifest.key}) says {manifest.sha256}",
            "It has been dropped; run the same command again.",
        )

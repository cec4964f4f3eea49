"""The operator's cache hands out verified bytes only."""

from __future__ import annotations

import functools
import hashlib
import shutil
from pathlib import Path

import pytest

from bootstrap.errors import IntegrityError
from bootstrap.framework import cache
from bootstrap.framework.manifest import ARCHIVE, MANIFEST, Manifest
from tests.at_once import at_once


def _add(manifest: Manifest, data: bytes = b"archive") -> None:
    with cache.adding(manifest) as path:
        path.write_bytes(data)


def test_what_was_added_is_found_again(manifest: Manifest, own_cache: Path) -> None:
    _add(manifest)
    found = cache.find(manifest.key)
    assert found is not None
    assert (found.archive.read_bytes(), found.manifest) == (b"archive", manifest)
    assert own_cache in found.archive.parents


def test_nothing_is_found_in_an_empty_cache() -> None:
    assert cache.find("0" * 20) is None
    assert cache.manifests() == []


def test_bytes_that_differ_from_the_manifest_are_not_kept(manifest: Manifest) -> None:
    with pytest.raises(IntegrityError):
        _add(manifest, b"something else")
    assert cache.find(manifest.key) is None


@pytest.mark.parametrize(
    ("file", "data"), [(ARCHIVE, b"archivE"), (ARCHIVE, None), (MANIFEST, b"{}"), (MANIFEST, b"\xff")]
)
def test_a_damaged_artefact_is_named_and_dropped(manifest: Manifest, file: str, data: bytes | None) -> None:
    _add(manifest)
    damaged = cache.folder(manifest.key) / file
    damaged.unlink() if data is None else damaged.write_bytes(data)
    with pytest.raises(IntegrityError, match=manifest.key):
        cache.find(manifest.key)
    assert cache.find(manifest.key) is None


def test_an_artefact_under_another_key_is_not_taken_for_it(manifest: Manifest) -> None:
    _add(manifest)
    cache.folder(manifest.key).rename(cache.folder("f" * 20))
    with pytest.raises(IntegrityError):
        cache.find("f" * 20)


def test_adding_again_replaces_and_leaves_nothing_behind(manifest: Manifest) -> None:
    _add(manifest)
    _add(manifest)
    assert cache.find(manifest.key) is not None
    assert [path.name for path in cache.folder("x").parent.iterdir()] == [manifest.key]


def test_a_failure_while_adding_leaves_what_was_there(manifest: Manifest) -> None:
    _add(manifest)
    with pytest.raises(OSError, match="broke"), cache.adding(manifest):
        raise OSError("the connection broke")
    assert cache.find(manifest.key) is not None


def test_of_several_who_add_one_key_at_once_one_artefact_stays_and_nobody_fails(manifest: Manifest) -> None:
    """Each with bytes of its own: a build's bytes need not be those of another build of that key."""
    theirs = [b"ann", b"bob", b"eve", b"joe"]

    def add(data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()
        _add(manifest.model_copy(update={"sha256": digest}), data)
        assert cache.find(manifest.key) is not None

    place = cache.folder(manifest.key)
    for _ in range(20):
        at_once(*(functools.partial(add, data) for data in theirs))
        found = cache.find(manifest.key)
        assert found is not None
        assert found.archive.read_bytes() in theirs
        assert list(place.parent.iterdir()) == [place]
        shutil.rmtree(place)


def test_what_somebody_else_has_added_meanwhile_stays(manifest: Manifest) -> None:
    theirs = manifest.model_copy(update={"packages": ["libopenblas0"]})
    with cache.adding(manifest) as path:
        path.write_bytes(b"archive")
        _add(theirs)
    found = cache.find(manifest.key)
    assert found is not None
    assert found.manifest == theirs


def test_a_damaged_one_that_is_there_gives_way(manifest: Manifest) -> None:
    _add(manifest)
    (cache.folder(manifest.key) / ARCHIVE).write_bytes(b"damaged")
    _add(manifest)
    assert cache.find(manifest.key) is not None
    (cache.folder(manifest.key) / MANIFEST).unlink()
    _add(manifest)
    assert cache.find(manifest.key) is not None


def test_unreadable_manifests_do_not_hide_the_others(manifest: Manifest) -> None:
    _add(manifest)
    other = cache.folder("e" * 20)
    other.mkdir()
    (other / MANIFEST).write_text("no manifest")
    assert cache.manifests() == [manifest]

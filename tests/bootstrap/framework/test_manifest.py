"""Manifests come back as they were written, and are refused when they are not one."""

from __future__ import annotations

import json

import pytest

from bootstrap.errors import IntegrityError
from bootstrap.framework.manifest import Manifest, built_now


def test_a_manifest_is_read_back_as_it_was(manifest: Manifest) -> None:
    assert Manifest.from_bytes(manifest.to_bytes(), "here") == manifest


def test_it_says_who_built_it_when_and_in_how_long(manifest: Manifest) -> None:
    assert "@" in manifest.built.by
    assert manifest.built.seconds == 105.0
    assert manifest.built.at.tzinfo is not None


@pytest.mark.parametrize(
    "change",
    [
        *({"version": 2}, {"sha256": "x"}, {"more": 1}, {"built": None}, {"size": 0}),
        *({"packages": ["-oDPkg::Pre-Invoke=id"]}, {"packages": ["a b"]}, {"packages": ["./x.deb"]}),
        *({"inputs": {}}, {"inputs": {"distribution": "x; touch /owned"}}),
    ],
)
def test_another_document_is_refused_and_named(manifest: Manifest, change: dict[str, object]) -> None:
    document = {**json.loads(manifest.to_bytes()), **change}
    with pytest.raises(IntegrityError, match=r"hdfs://x.*not a valid manifest"):
        Manifest.from_bytes(json.dumps(document).encode(), "hdfs://x")


def test_no_phases_are_no_seconds() -> None:
    assert built_now("head", 2, {}).seconds == 0

"""Artefacts in the cluster's shared storage, `/frameworks/caffe/<key>/{caffe.tar.gz,manifest.json}`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.errors import CaffeSparkError, IntegrityError
from bootstrap.framework.manifest import ARCHIVE, MANIFEST, Manifest
from bootstrap.ssh.remote import Remote
from bootstrap.storage.hadoop import SharedStorage


def folder(key: str) -> str:
    """Return the artefact's folder below the storage's URI."""
    return f"{paths.FRAMEWORKS}/caffe/{key}"


def archive(key: str) -> str:
    """Return the archive's path below the storage's URI."""
    return f"{folder(key)}/{ARCHIVE}"


def find(storage: SharedStorage, key: str) -> Manifest | None:
    """Return the manifest of an artefact, after verifying its bytes; None when there is none.

    Raises:
        IntegrityError: it is damaged.
        ServiceDown: the storage does not answer.
    """
    document, sha256 = storage.read_and_sum(f"{folder(key)}/{MANIFEST}", archive(key))
    if document is None:
        return None  # the manifest is written last: without it the artefact is incomplete
    where = storage.url(archive(key))
    manifest = Manifest.from_bytes(document, storage.url(f"{folder(key)}/{MANIFEST}"))
    if sha256 != manifest.sha256 or manifest.key != key:
        got = f"its sha256 is {sha256}" if sha256 else "it is gone"
        raise IntegrityError(
            where,
            f"{got}, and its manifest says {manifest.sha256}",
            "It is replaced by `fab build-headnode`.",
        )
    return manifest


def push(head: Remote, storage: SharedStorage, manifest: Manifest, archive_on_head: str) -> Manifest:
    """Copy an artefact from the head to storage, the manifest last, unless one of its key is there.

    Returns:
        The manifest in storage; of several operators at once, that of the first.

    Raises:
        IntegrityError: another operator has put a damaged one there.
        ServiceDown: the storage takes no writes.
        CommandFailed: it refused a file.
    """
    with on_head(head, manifest.to_bytes()) as document:
        files = [(archive_on_head, archive(manifest.key)), (document, f"{folder(manifest.key)}/{MANIFEST}")]
        if storage.put_new(files):
            return manifest
    return find(storage, manifest.key) or manifest


def publish(head: Remote, storage: SharedStorage, manifest: Manifest, script: str) -> bool:
    """Publish the script that installs the artefact on joining machines; False when it was there already.

    `current.json` names the script and its sha256 (see on_node/boot.py).

    Raises:
        ServiceDown: the storage takes no writes.
        CommandFailed: it refused a file.
    """
    sha256 = hashlib.sha256(script.encode()).hexdigest()
    place = f"{paths.FRAMEWORK_SCRIPTS}/caffe-{sha256[:16]}.sh"
    current = {"key": manifest.key, "script_key": place, "sha256": sha256}
    document = json.dumps(current, indent=1, sort_keys=True).encode()
    if storage.read(f"{paths.FRAMEWORK_SCRIPTS}/current.json") == document:
        return False
    for name, data in ((place, script.encode()), (f"{paths.FRAMEWORK_SCRIPTS}/current.json", document)):
        with on_head(head, data) as file:
            storage.put(file, name)
    return True


@contextmanager
def on_head(head: Remote, data: bytes) -> Iterator[str]:
    """Yield the path of a temporary file on the head with these bytes, for root only."""
    path = f"{paths.STATE}/put-{token()}"
    try:
        head.put(data, path, mode=0o600)
        yield path
    finally:
        with suppress(CaffeSparkError):  # the head is gone: the first error is reported
            head.run(f"rm -f {path}", check=False)

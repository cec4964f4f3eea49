"""Artefacts in the cluster's shared storage: `/frameworks/caffe/<key>/{caffe.tar.gz,manifest.json}`."""

from __future__ import annotations

import hashlib
import json

from bootstrap import paths
from bootstrap.errors import IntegrityError
from bootstrap.framework.manifest import ARCHIVE, MANIFEST, Manifest
from bootstrap.remote import Remote
from bootstrap.storage import SharedStorage


def folder(key: str) -> str:
    """The artefact's folder below the storage's URI."""
    return f"{paths.FRAMEWORKS}/caffe/{key}"


def archive(key: str) -> str:
    """The archive's path below the storage's URI."""
    return f"{folder(key)}/{ARCHIVE}"


def find(storage: SharedStorage, key: str) -> Manifest | None:
    """The manifest of an artefact whose bytes have just been verified; None when there is none.

    Raises:
        IntegrityError: it is damaged.
        ServiceDown: the storage does not answer.
    """
    document, sha256 = storage.read_and_sum(f"{folder(key)}/{MANIFEST}", archive(key))
    if document is None:
        return None  # the manifest is written last: without it nothing counts
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


def push(head: Remote, storage: SharedStorage, manifest: Manifest, archive_on_head: str) -> None:
    """Put an artefact that lies on the head into storage, the manifest last.

    Raises:
        ServiceDown: the storage takes no writes.
        CommandFailed: it refused a file.
    """
    storage.put(archive_on_head, archive(manifest.key))
    on_head = f"{archive_on_head.rpartition('/')[0]}/{MANIFEST}"
    head.put(manifest.to_bytes(), on_head)
    storage.put(on_head, f"{folder(manifest.key)}/{MANIFEST}")


def publish(head: Remote, storage: SharedStorage, manifest: Manifest, script: str) -> bool:
    """Leave the script that brings the artefact to machines that join later; False when it lay there already.

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
    on_head = f"{paths.STATE}/publish"
    for name, data in ((place, script.encode()), (f"{paths.FRAMEWORK_SCRIPTS}/current.json", document)):
        head.put(data, on_head, mode=0o600)
        storage.put(on_head, name)
    head.run(f"rm -f {on_head}")
    return True

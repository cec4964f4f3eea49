"""Artefacts in the cluster's shared storage, `/frameworks/caffe/<key>/{caffe.tar.gz,manifest.json}`.

Jobs can write there, so a manifest is signed by the stack's key, and an archive has the sum that its manifest
states.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bootstrap import paths
from bootstrap.aside import token
from bootstrap.errors import CaffeSparkError, IntegrityError
from bootstrap.framework.manifest import ARCHIVE, MANIFEST, Manifest
from bootstrap.signing import SigningKey
from bootstrap.ssh.remote import Remote
from bootstrap.storage.hadoop import SharedStorage

if TYPE_CHECKING:
    from bootstrap.storage.bucket import Bucket


def folder(key: str) -> str:
    """Return the artefact's folder below the storage's URI."""
    return f"{paths.FRAMEWORKS}/caffe/{key}"


def archive(key: str) -> str:
    """Return the archive's path below the storage's URI."""
    return f"{folder(key)}/{ARCHIVE}"


def find(storage: SharedStorage, signing: SigningKey, key: str) -> Manifest | None:
    """Return the manifest of an artefact, after verifying its signature and bytes; None when there is none.

    Raises:
        IntegrityError: it is damaged, or the stack's key has not signed it.
        ServiceDown: the storage does not answer.
    """
    document, sha256 = storage.read_and_sum(f"{folder(key)}/{MANIFEST}", archive(key))
    if document is None:
        return None  # the manifest is written last: without it the artefact is incomplete
    where = storage.url(archive(key))
    origin = storage.url(f"{folder(key)}/{MANIFEST}")
    payload = signing.unseal("framework", document, origin, "It is replaced by `fab build-headnode`.")
    manifest = Manifest.from_bytes(payload, origin)
    if sha256 != manifest.sha256 or manifest.key != key:
        got = f"its sha256 is {sha256}" if sha256 else "it is gone"
        raise IntegrityError(
            where,
            f"{got}, and its manifest says {manifest.sha256}",
            "It is replaced by `fab build-headnode`.",
        )
    return manifest


def push(
    head: Remote, storage: SharedStorage, signing: SigningKey, manifest: Manifest, archive_on_head: str
) -> Manifest:
    """Copy an artefact from the head to storage, its signed manifest last, unless one of its key is there.

    Returns:
        The manifest in storage; of several operators at once, that of the first.

    Raises:
        IntegrityError: a damaged one, or one that the stack's key has not signed, is there.
        ServiceDown: the storage takes no writes.
        CommandFailed: it refused a file.
    """
    with on_head(head, signing.seal("framework", manifest.to_bytes())) as document:
        files = [(archive_on_head, archive(manifest.key)), (document, f"{folder(manifest.key)}/{MANIFEST}")]
        if storage.put_new(files):
            return manifest
    return find(storage, signing, manifest.key) or manifest


def publish(bucket: Bucket, signing: SigningKey, key: str, script: str) -> bool:
    """Publish the script that installs a framework on joining machines; False when it was there already.

    `current.json`, signed, names the script and its sha256 (see on_node/boot.py). The operator writes both:
    no machine may decide what others run.

    Raises:
        ConfigError: credentials are missing or lack a permission.
        ServiceDown: S3 cannot be reached, or refuses the request.
    """
    sha256 = hashlib.sha256(script.encode()).hexdigest()
    place = f"{paths.FRAMEWORK_SCRIPTS}/caffe-{sha256[:16]}.sh"
    current = f"{paths.FRAMEWORK_SCRIPTS}/current.json"
    wanted = {"key": key, "script_key": place, "sha256": sha256}
    payload = json.dumps(wanted, indent=1, sort_keys=True).encode()
    there = bucket.read(current)
    with suppress(IntegrityError):  # unsigned, or signed by a former stack: replaced
        if there is not None and signing.unseal("joining", there, current, "") == payload:
            return False
    bucket.write(place, script.encode())
    bucket.write(current, signing.seal("joining", payload))
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

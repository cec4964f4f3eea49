"""Signed list, in blob storage, of the script actions that run on joining nodes of ours.

Jobs can write to this storage, and the scripts run as root: the list is signed by the stack's key, and states
each script's sum.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final, NamedTuple

from bootstrap.cluster import ClusterDocument
from bootstrap.errors import IntegrityError
from bootstrap.script_actions.action import FOLDER
from bootstrap.script_actions.executions import Persisted
from bootstrap.storage.blob import Blobs

PERSISTED: Final = f"{FOLDER}/persisted.json"


class Sealed(NamedTuple):
    """A script action that persists, and the sha256 of its script in hexadecimal digits."""

    action: Persisted
    sha256: str


def read(cluster: ClusterDocument) -> list[Sealed]:
    """Return the list; empty when there is none.

    Raises:
        IntegrityError: the stack's key has not signed it.
        ConfigError, StackError, ServiceDown: storage refuses or does not answer, or the stack has no key.
        CommandFailed: it is too long.
    """
    blobs = Blobs.of(cluster)
    document = blobs.read(PERSISTED)
    return [] if document is None else _unseal(cluster, document, blobs.uri)


def update(cluster: ClusterDocument, mine: Sealed, *, keep: bool) -> None:
    """Put an action on the list in place of one of its name, or take that one off it.

    A list that the stack's key has not signed is replaced: nothing on it counts. Raises as `read`, but for
    IntegrityError.
    """
    signing, blobs = cluster.signing_key, Blobs.of(cluster)

    def changed(document: bytes | None) -> bytes | None:
        signed = True
        try:
            there = [] if document is None else _unseal(cluster, document, blobs.uri)
        except IntegrityError:
            there, signed = [], False
        kept = [one for one in there if one.action.name != mine.action.name] + ([mine] if keep else [])
        if signed and kept == there:
            return None
        payload = [{**asdict(one.action), "sha256": one.sha256} for one in kept]
        return signing.seal("script-actions", json.dumps(payload, indent=1).encode())

    blobs.update(PERSISTED, changed)


def _unseal(cluster: ClusterDocument, document: bytes, container: str) -> list[Sealed]:
    fix = f"Run `fab build-headnode --stack {cluster.stack}`, which writes a new one."
    payload = cluster.signing_key.unseal("script-actions", document, f"{container}/{PERSISTED}", fix)
    return [
        Sealed(Persisted(one["name"], one["uri"], tuple(one["roles"]), one["parameters"]), one["sha256"])
        for one in json.loads(payload)
    ]

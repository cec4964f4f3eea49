"""Host keys of nodes that exist in tests only: valid in form, and nobody has the private half."""

from __future__ import annotations

import base64
import hashlib
import struct


def host_key(name: str) -> str:
    """Return the public key of a node, the same each time."""
    kind = b"ssh-ed25519"
    key = hashlib.sha256(name.encode()).digest()
    fields = b"".join(struct.pack(">I", len(part)) + part for part in (kind, key))
    return f"{kind.decode()} {base64.b64encode(fields).decode()}"

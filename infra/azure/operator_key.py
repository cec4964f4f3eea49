"""The operator's own RSA public key, validated before anything is created."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Final

from bootstrap.errors import ConfigError
from infra.tags import PROJECT

KIND: Final = "ssh-rsa"
MIN_BITS: Final = 2048
PAIR: Final = "~/.ssh/caffe-spark"
"""Suggested path of a key pair; it must have no passphrase."""


def public_key(path: str, stack: str) -> str:
    """Read the public key as HDInsight accepts it: an RSA key's OpenSSH line, without its comment.

    Raises:
        ConfigError: the file does not exist, or is not an RSA public key.
    """
    given = f"{PROJECT}:publicKeyFile = {path}"
    fix = (
        f"Generate a key pair: `ssh-keygen -t rsa -b 3072 -m PEM -N '' -f {PAIR}`, then "
        f"`pulumi config set publicKeyFile {PAIR}.pub --stack {stack} && "
        f"pulumi config set privateKeyFile {PAIR} --stack {stack}`."
    )
    try:
        text = Path(path).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(given, f"it cannot be read: {why}", fix) from None
    if "PRIVATE KEY" in text:
        raise ConfigError(given, "it is a private key; valid: the public key", fix)
    words = text.split()
    if len(words) < 2 or words[0] != KIND:  # noqa: PLR2004 - kind and key
        found = words[0] if words and words[0].startswith(("ssh-", "ecdsa-", "sk-")) else "not an OpenSSH key"
        raise ConfigError(given, f"it is {found}, and HDInsight accepts RSA keys only; valid: {KIND}", fix)
    bits = _bits(words[1])
    if bits < MIN_BITS:
        raise ConfigError(given, f"it is too short: {bits} bits; valid: {MIN_BITS} and more", fix)
    return f"{KIND} {words[1]}"


def _bits(text: str) -> int:
    """Return the length of an RSA key's modulus, or 0 if it is not valid. RFC 4253, 6.6: kind, exponent,
    modulus."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        return 0
    parts = []
    while len(data) >= 4:  # noqa: PLR2004 - a length of four bytes before each part
        size = int.from_bytes(data[:4], "big")
        parts.append(data[4 : 4 + size])
        data = data[4 + size :]
    if len(parts) != 3 or parts[0] != KIND.encode():  # noqa: PLR2004
        return 0
    return int.from_bytes(parts[2], "big").bit_length()

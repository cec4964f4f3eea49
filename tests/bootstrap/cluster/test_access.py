"""Host keys that a stack or a machine reports: what is taken for one, SSH can use."""

from __future__ import annotations

import base64
import struct

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from bootstrap.cluster import Node
from tests.host_keys import host_key


def node(key: str) -> Node:
    return Node(name="w1", address="10.0.0.2", host_key=key)


def line(kind: str, *fields: bytes) -> str:
    """A public key line of these fields, which say their length."""
    data = b"".join(struct.pack(">I", len(part)) + part for part in fields)
    return f"{kind} {base64.b64encode(data).decode()}"


ED25519, POINT = b"ssh-ed25519", b"k" * 32


@pytest.mark.parametrize(
    "key",
    [
        "ssh-ed25519 A",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 AAAA=",
        host_key("w1")[:-1],
        host_key("w1") + "AAAA",
        line("ssh-ed25519", b"ssh-rsa", POINT),
        line("ssh-rsa", ED25519, POINT),
        line("ssh-ed25519", ED25519, POINT[:-1]),
        line("ssh-ed25519", ED25519, POINT, b"more"),
        line("ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + 64 * b"k"),
        line("ssh-rsa", b"ssh-rsa", b"\3"),
    ],
)
def test_what_is_not_a_key_of_its_type_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match=r"not a valid (ssh|ecdsa)\S+ public key"):
        node(key)


def public_lines() -> list[str]:
    keys = [ec.generate_private_key(curve()) for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)]
    small = rsa.generate_private_key(65537, 1024)  # which is quick; nothing is encrypted
    made: list[ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = [*keys, small]
    return [key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() for key in made]


def test_a_key_of_each_type_is_taken_as_it_is_and_loads_for_ssh() -> None:
    for key in [host_key("w1"), *public_lines()]:
        assert node(key).host_key == key
        kind, data = key.split()
        assert paramiko.PKey.from_type_string(kind, base64.b64decode(data)).get_name() == kind

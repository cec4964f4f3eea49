"""The operator's own public key: an RSA key's line, or a line that says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from bootstrap.errors import ConfigError
from infra.azure import operator_key
from tests.infra.azure.conftest import AzureProgram

OPENSSH = form.Encoding.OpenSSH, form.PublicFormat.OpenSSH


def rsa(bits: int) -> str:
    key = generate_private_key(public_exponent=65537, key_size=bits)
    return key.public_key().public_bytes(*OPENSSH).decode()


def test_a_key_is_taken_without_its_comment(tmp_path: Path) -> None:
    line = rsa(2048)
    (tmp_path / "key.pub").write_text(f"{line} me@home\n")
    assert operator_key.public_key(str(tmp_path / "key.pub"), "az") == line


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (Ed25519PrivateKey.generate().public_key().public_bytes(*OPENSSH).decode(), "it is ssh-ed25519"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "it is a private key"),
        ("ssh-rsa", "RSA keys only"),
        ("", "not an OpenSSH key"),
        ("ssh-rsa AAAA", "too short: 0 bits"),
        ("ssh-rsa nonsense!", "too short: 0 bits"),
        (rsa(1024), "too short: 1024 bits; valid: 2048"),
    ],
    # Keys differ from run to run, and every worker has to give a test the same name.
    ids=["ed25519", "private half", "no base64", "empty", "half a key", "nonsense", "short"],
)
def test_another_text_is_refused_with_a_command_that_makes_one(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "key.pub").write_text(text)
    with pytest.raises(ConfigError) as caught:
        operator_key.public_key(str(tmp_path / "key.pub"), "az")
    line = str(caught.value)
    for part in ("caffe-spark:publicKeyFile = ", word, "ssh-keygen -t rsa", "--stack az"):
        assert part in line
    assert "-N ''" in line, "nothing here asks for a passphrase"
    for half in ("publicKeyFile ~/.ssh/caffe-spark.pub", "privateKeyFile ~/.ssh/caffe-spark"):
        assert f"{half} --stack az" in line
    assert "\n" not in line


def test_a_file_that_is_not_there_is_told_before_anything_is_made(azure_program: AzureProgram) -> None:
    line = azure_program.refused(publicKeyFile="/none/key.pub", privateKeyFile="/none/key")
    assert "publicKeyFile = /none/key.pub: it cannot be read: No such file or directory" in line

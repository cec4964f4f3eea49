"""Signed documents."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from bootstrap.errors import IntegrityError
from bootstrap.signing import SigningKey
from tests.signing import SIGNING_KEY

PAYLOAD = '{"key": "é\u2028"}\n'.encode()


def test_a_document_gives_back_its_payload() -> None:
    assert SIGNING_KEY.unseal("joining", SIGNING_KEY.seal("joining", PAYLOAD), "x", "y") == PAYLOAD


def test_openssl_verifies_a_document(tmp_path: Path) -> None:
    document = json.loads(SIGNING_KEY.seal("joining", PAYLOAD))
    (tmp_path / "key").write_text(SIGNING_KEY.public_key)
    (tmp_path / "signature").write_bytes(base64.b64decode(document["signature"]))
    (tmp_path / "message").write_bytes(b"caffe-spark joining\n" + document["payload"].encode())
    command = ["openssl", "dgst", "-sha256", "-verify", "key", "-signature", "signature", "message"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "message").write_bytes(b"caffe-spark joining\nanother")
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode != 0


@pytest.mark.parametrize(
    "document",
    [
        SigningKey.generate().seal("joining", PAYLOAD),
        SIGNING_KEY.seal("framework", PAYLOAD),
        SIGNING_KEY.seal("joining", PAYLOAD).replace(b"key", b"kez"),
        PAYLOAD,
        b"",
        b"[]",
        b'{"payload": "x", "signature": "no base64"}',
        b'{"payload": "x", "signature": 7}',
        b"\xff",
        b"[" * 100_000,
        b'{"payload": ' + b"[" * 100_000,
    ],
    ids=range(11),
)
def test_a_document_that_the_key_has_not_signed_for_this_purpose_is_refused(document: bytes) -> None:
    with pytest.raises(IntegrityError, match="sign") as caught:
        SIGNING_KEY.unseal("joining", document, "s3://bucket/current.json", "Run `fab build-headnode`.")
    assert caught.value.given == "s3://bucket/current.json"
    assert caught.value.fix == "Run `fab build-headnode`."


def test_the_private_key_is_not_printed() -> None:
    assert "PRIVATE" not in repr(SIGNING_KEY)

"""Signatures by the stack's key: documents in shared storage that decide what root runs on nodes.

Jobs can write to shared storage; only the operator has the private key, a secret of Pulumi's state. A signed
document is one file, so that a reader never meets the signature of another version:

    {"payload": "…", "signature": "…"}

`signature` is the base64 of an ECDSA signature (P-256, SHA-256, DER) over the line `caffe-spark PURPOSE` and
the payload. The purpose keeps a document from passing for one of another kind. Nodes verify with
`openssl dgst -sha256 -verify`, as `bootstrap.join.on_node.boot` does.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Final, Literal, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from bootstrap.errors import IntegrityError
from bootstrap.model import Model
from bootstrap.others_json import json_object

Purpose = Literal["framework", "joining", "script-actions"]
"""Manifest of a framework; script for joining machines; list of script actions that persist."""

_ALGORITHM: Final = ec.ECDSA(hashes.SHA256())


class SigningKey(Model):
    """The stack's key pair, as PEM (PKCS #8 and SubjectPublicKeyInfo)."""

    private_key: SecretStr
    public_key: str

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a new key pair."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(private_key=SecretStr(private.decode()), public_key=public.decode())

    def seal(self, purpose: Purpose, payload: bytes) -> bytes:
        """Return the signed document of a UTF-8 payload."""
        pem = self.private_key.get_secret_value().encode()
        key = cast("ec.EllipticCurvePrivateKey", serialization.load_pem_private_key(pem, None))
        signature = key.sign(_message(purpose, payload), _ALGORITHM)
        text = {"payload": payload.decode(), "signature": base64.b64encode(signature).decode()}
        return (json.dumps(text, ensure_ascii=False, indent=1) + "\n").encode()

    def unseal(self, purpose: Purpose, document: bytes, where: str, fix: str) -> bytes:
        """Return the payload of a signed document; `where` and `fix` are the error's first and last part.

        Raises:
            IntegrityError: it is not a document of this purpose that this key has signed.
        """
        pem = self.public_key.encode()
        key = cast("ec.EllipticCurvePublicKey", serialization.load_pem_public_key(pem))
        try:
            text = json_object(document)
            payload = str(text["payload"]).encode()
            signature = base64.b64decode(text["signature"], validate=True)
        except (ValueError, TypeError, KeyError, binascii.Error) as error:
            raise IntegrityError(where, "it is not a signed document", fix) from error
        try:
            key.verify(signature, _message(purpose, payload), _ALGORITHM)
        except InvalidSignature as error:
            raise IntegrityError(where, "the stack's key has not signed it", fix) from error
        return payload


def _message(purpose: Purpose, payload: bytes) -> bytes:
    return f"caffe-spark {purpose}\n".encode() + payload

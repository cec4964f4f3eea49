"""SSH keys, signing key and secrets of a stack: generated once, stored encrypted in its state."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, Literal

import pulumi
from pulumi.dynamic import CreateResult, Resource

from infra.provider import Props, Provider

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

Kind = Literal["ed25519", "rsa"]

SECRET_BYTES: Final = 32
RSA_BITS: Final = 3072
"""As strong as Ed25519, for clouds that accept no other type."""


_LOAD: Final = (
    "pulumi stack output cluster --show-secrets --stack {stack} | "
    """python3 -c 'import json, sys; print(json.load(sys.stdin)["ssh"]["private_key"])' | ssh-add -q - && """
)


def ssh_command(stack: str, key_file: str | None) -> str:
    """Return `ssh` with the operator's key file, or with the stack's key loaded into ssh-agent; it is never
    written to a file."""
    return f"ssh -i {key_file}" if key_file else f"{_LOAD.format(stack=stack)}ssh"


class SshKeyProvider(Provider):
    """Generates a key pair, which changes only when the resource is replaced by hand."""

    def create(self, props: Props) -> CreateResult:
        """Generate a key pair in OpenSSH's formats."""
        # heavy imports that only the first `up` needs
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

        key: Ed25519PrivateKey | RSAPrivateKey
        if props.get("kind") == "rsa":
            key = generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        else:
            key = Ed25519PrivateKey.generate()
        private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
        public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
        outs = {**props, "private_key": private.decode(), "public_key": public.decode()}
        return CreateResult(id_=str(props["purpose"]), outs=outs)


class SshKey(Resource, module="embedded", name="SshKey"):
    """An SSH key pair, Ed25519 or RSA; `public_key` is an OpenSSH line without a comment."""

    private_key: pulumi.Output[str]
    public_key: pulumi.Output[str]

    def __init__(
        self, name: str, *, kind: Kind = "ed25519", opts: pulumi.ResourceOptions | None = None
    ) -> None:
        opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(additional_secret_outputs=["private_key"])
        )
        # Stacks from when Ed25519 was the only kind have no `kind` in their state.
        chosen = {} if kind == "ed25519" else {"kind": kind}
        props = {"purpose": name, **chosen, "private_key": None, "public_key": None}
        super().__init__(SshKeyProvider(), name, props, opts)


class SigningKeyPairProvider(Provider):
    """Generates the key pair of `bootstrap.signing`, which changes as an SSH key does."""

    def create(self, props: Props) -> CreateResult:
        """Generate a key pair in PEM."""
        from bootstrap.signing import SigningKey  # a heavy import that only the first `up` needs

        key = SigningKey.generate()
        private = key.private_key.get_secret_value()
        outs = {**props, "private_key": private, "public_key": key.public_key}
        return CreateResult(id_=str(props["purpose"]), outs=outs)


class SigningKeyPair(Resource, module="embedded", name="SigningKeyPair"):
    """The key that signs what nodes run as root; no node holds its private half."""

    private_key: pulumi.Output[str]
    public_key: pulumi.Output[str]

    def __init__(self, name: str, *, opts: pulumi.ResourceOptions | None = None) -> None:
        opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(additional_secret_outputs=["private_key"])
        )
        props = {"purpose": name, "private_key": None, "public_key": None}
        super().__init__(SigningKeyPairProvider(), name, props, opts)

    @property
    def document(self) -> dict[str, pulumi.Output[str]]:
        """The key as the cluster document holds it."""
        return {"private_key": self.private_key, "public_key": self.public_key}


class SecretProvider(Provider):
    """Generates a random secret, which has no settings."""

    def create(self, props: Props) -> CreateResult:
        """Generate a secret of 256 bits."""
        outs = {**props, "value": secrets.token_urlsafe(SECRET_BYTES)}
        return CreateResult(id_=str(props["purpose"]), outs=outs)


class Secret(Resource, module="embedded", name="Secret"):
    """A random secret that several machines share."""

    value: pulumi.Output[str]

    def __init__(self, name: str, *, opts: pulumi.ResourceOptions | None = None) -> None:
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["value"]))
        super().__init__(SecretProvider(), name, {"purpose": name, "value": None}, opts)

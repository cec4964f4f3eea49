"""Whether the operator can log in: with the stack's own key, or with a pair of theirs that fits."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from bootstrap import aws
from bootstrap.errors import ConfigError
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.finding import CloudCheck, Finding, LocalCheck

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from infra.aws.config import AwsConfig

PAIR: Final = "key pair"
FILE: Final = "private key"
SHOWN: Final = 10
"""Key pairs that are listed where the one named is not there."""


def cloud_checks(config: AwsConfig, stack: str) -> list[CloudCheck]:
    """Where the stack makes its own key there is nothing to ask."""
    return [CloudCheck(PAIR, lambda cloud: [_pair(cloud, config, stack)])] if config.key_pair else []


def local_checks(config: AwsConfig, stack: str) -> list[LocalCheck]:
    """The file, or that none is needed."""
    if config.private_key_file is None:
        return [LocalCheck(PAIR, lambda: Finding(PAIR, "holds", "made with the stack, kept in its state"))]
    path = Path(config.private_key_file).expanduser()
    return [LocalCheck(FILE, lambda: _file(path, stack))]


def public_half(path: Path, stack: str) -> str:
    """The public key of a private key file: OpenSSH's two fields, type and base64.

    Raises:
        ConfigError: there is no such file, it holds something else, or it wants a passphrase.
    """
    from cryptography.hazmat.primitives import serialization as form

    key = _load(path, stack).public_key()
    return key.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()


def _load(path: Path, stack: str) -> PrivateKeyTypes:
    from cryptography.hazmat.primitives import serialization as form

    given, mend = f"privateKeyFile {path}", f"Run `pulumi config set privateKeyFile PATH --stack {stack}`."
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(given, f"{path}: {error.strerror or error}", mend) from error
    for load in (form.load_ssh_private_key, form.load_pem_private_key):
        try:
            return load(data, None)
        except TypeError as error:  # its way to say that a passphrase is wanted
            raise ConfigError(
                given,
                f"{path} is protected by a passphrase, which nothing here asks for",
                f"Take it off a copy (`ssh-keygen -p -f COPY`), or have a key made with the stack: "
                f"`pulumi config rm-all keyPair privateKeyFile --stack {stack}`.",
            ) from error
        except ValueError:
            continue
    raise ConfigError(given, f"{path} holds no private key in OpenSSH's or PEM format", mend)


def _file(path: Path, stack: str) -> Finding:
    kind = public_half(path, stack).split()[0]
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(
            FILE,
            "fails",
            f"{path} has mode {mode:04o}: others on this machine may use it, and ssh refuses it",
            f"Run `chmod 600 {path}`.",
        )
    return Finding(FILE, "holds", f"{path}, {kind}")


def _pair(cloud: Cloud, config: AwsConfig, stack: str) -> Finding:
    name = str(config.key_pair)
    with aws.in_our_words(f"looking for key pair {name}"):
        try:
            found = cloud.ec2.describe_key_pairs(KeyNames=[name], IncludePublicKey=True)["KeyPairs"][0]
        except ClientError as error:
            if aws.code_of(error) != "InvalidKeyPair.NotFound":
                raise
            return _not_there(cloud, name, stack)
    path = Path(str(config.private_key_file)).expanduser()
    try:
        ours = public_half(path, stack)
    except ConfigError:
        # The file's own check says what is wrong with it.
        return Finding(PAIR, "holds", f"{name} is in {cloud.region}")
    theirs = found.get("PublicKey", "")
    if theirs and theirs.split()[:2] != ours.split()[:2]:
        return Finding(
            PAIR,
            "fails",
            f"{path} is not the private key of {name} in {cloud.region}",
            f"Run `pulumi config set privateKeyFile PATH --stack {stack}`.",
        )
    return Finding(PAIR, "holds", f"{name} is in {cloud.region}, and {path} is its private key")


def _not_there(cloud: Cloud, name: str, stack: str) -> Finding:
    there = sorted(pair.get("KeyName", "") for pair in cloud.ec2.describe_key_pairs()["KeyPairs"])
    more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    listed = f"those there: {', '.join(there[:SHOWN])}{more}" if there else "it has none"
    return Finding(
        PAIR,
        "fails",
        f"{name} is not in {cloud.region}, and a pair belongs to one region; {listed}",
        f"Run `pulumi config set keyPair NAME --stack {stack}`, or have a key made with the stack: "
        f"`pulumi config rm-all keyPair privateKeyFile --stack {stack}`.",
    )

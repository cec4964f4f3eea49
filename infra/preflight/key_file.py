"""Checks of the operator's private key file: its format and permissions."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootstrap.errors import ConfigError
from infra.preflight.finding import Finding, LocalCheck

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PAIR: Final = "key pair"
FILE: Final = "private key"


def checks(given: str | None, stack: str, without: str) -> list[LocalCheck]:
    """Return the check of the file, or a finding that none is needed; `without` makes the stack generate a
    key."""
    if given is None:
        return [
            LocalCheck(PAIR, lambda: Finding(PAIR, "passed", "generated with the stack, stored in its state"))
        ]
    path = Path(given).expanduser()
    return [LocalCheck(FILE, lambda: _file(path, stack, without))]


def public_half(path: Path, stack: str, without: str) -> str:
    """Return the public key of a private key file as OpenSSH's two fields, type and base64.

    Raises:
        ConfigError: the file does not exist, is not a private key, or is protected by a passphrase.
    """
    from cryptography.hazmat.primitives import serialization as form

    key = _load(path, stack, without).public_key()
    return key.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()


def _load(path: Path, stack: str, without: str) -> PrivateKeyTypes:
    from cryptography.hazmat.primitives import serialization as form

    given, fix = f"privateKeyFile {path}", f"Run `pulumi config set privateKeyFile PATH --stack {stack}`."
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(given, f"{path}: {error.strerror or error}", fix) from error
    for load in (form.load_ssh_private_key, form.load_pem_private_key):
        try:
            return load(data, None)
        except TypeError as error:  # raised for a key that needs a passphrase
            raise ConfigError(
                given,
                f"{path} is protected by a passphrase, which is not supported",
                f"Remove it from a copy (`ssh-keygen -p -f COPY`), or let the stack generate a key: "
                f"`{without} --stack {stack}`.",
            ) from error
        except ValueError:
            continue
    raise ConfigError(given, f"{path} is not a private key in OpenSSH or PEM format", fix)


def _file(path: Path, stack: str, without: str) -> Finding:
    kind = public_half(path, stack, without).split()[0]
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(
            FILE,
            "failed",
            f"{path} has mode {mode:04o}: other users can read it, and ssh refuses it",
            f"Run `chmod 600 {path}`.",
        )
    return Finding(FILE, "passed", f"{path}, {kind}")

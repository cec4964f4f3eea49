"""Checks of the operator's key pair: HDInsight accepts it, and both halves belong together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.azure import operator_key
from infra.preflight import key_file
from infra.preflight.finding import Finding, LocalCheck
from infra.preflight.key_file import PAIR, public_half

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

WITHOUT: Final = "pulumi config rm-all publicKeyFile privateKeyFile"
"""Makes the stack generate a key."""


def checks(config: AzureConfig, stack: str) -> list[LocalCheck]:
    """Return checks of both files, or that none is needed; empty for a storage stack, which has no
    machines."""
    if config.part == "storage":
        return []
    asked = key_file.checks(config.private_key_file, stack, WITHOUT)
    if config.public_key_file and config.private_key_file:
        public, private = config.public_key_file, config.private_key_file
        return [LocalCheck(PAIR, lambda: _pair(public, private, stack)), *asked]
    return asked


def _pair(public: str, private: str, stack: str) -> Finding:
    """Check that HDInsight accepts the public key, and that the private key belongs to it."""
    theirs = operator_key.public_key(public, stack)
    path = Path(private).expanduser()
    if not path.is_file():
        return Finding(PAIR, "passed", f"{public} is an RSA key")  # the check of the file reports the rest
    if public_half(path, stack, WITHOUT).split()[:2] != theirs.split()[:2]:
        return Finding(
            PAIR,
            "failed",
            f"{private} is not the private key of {public}",
            f"Run `pulumi config set privateKeyFile PATH --stack {stack}`.",
        )
    return Finding(PAIR, "passed", f"{private} is the private key of {public}")

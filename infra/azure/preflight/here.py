"""What this machine needs for a stack on Azure: Pulumi, its plugin, ssh, and the operator's key pair."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra import key_file, tools
from infra.azure import operator_key
from infra.finding import Finding, LocalCheck
from infra.key_file import PAIR, public_half
from infra.tools import say

if TYPE_CHECKING:
    from infra.azure.config import AzureConfig

SSH: Final = "ssh"
WITHOUT: Final = "pulumi config rm-all publicKeyFile privateKeyFile"
"""After this the stack makes a key of its own."""


def checks(config: AzureConfig, stack: str, env: Mapping[str, str]) -> list[LocalCheck]:
    """What this stack takes; `env` has the PATH on which tools are looked for."""
    asked = tools.checks("azure-native", "pulumi-azure-native", env)
    if config.part == "storage":
        return asked
    asked.append(LocalCheck(SSH, lambda: _ssh(env)))
    if config.public_key_file and config.private_key_file:
        public, private = config.public_key_file, config.private_key_file
        asked.append(LocalCheck(PAIR, lambda: _pair(public, private, stack)))
    return [*asked, *key_file.checks(config.private_key_file, stack, WITHOUT)]


def _ssh(env: Mapping[str, str]) -> Finding:
    """Which says its version on the other stream: that it runs is enough."""
    say(["ssh", "-V"], "Install it: `sudo apt-get install openssh-client`.", env)
    return Finding(SSH, "holds", "there")


def _pair(public: str, private: str, stack: str) -> Finding:
    """Whether HDInsight would take the public half, and whether the private one is its own."""
    theirs = operator_key.public_key(public, stack)
    path = Path(private).expanduser()
    if not path.is_file():
        return Finding(PAIR, "holds", f"{public} is an RSA key")  # the file's own check says the rest
    if public_half(path, stack, WITHOUT).split()[:2] != theirs.split()[:2]:
        return Finding(
            PAIR,
            "fails",
            f"{private} is not the private key of {public}",
            f"Run `pulumi config set privateKeyFile PATH --stack {stack}`.",
        )
    return Finding(PAIR, "holds", f"{private} is the private key of {public}")

"""Checks of tools for a stack on Azure: Pulumi, its plugin, and ssh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from infra.preflight import tools
from infra.preflight.ask import ask
from infra.preflight.finding import Finding, LocalCheck

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

SSH: Final = "ssh"


def checks(config: AzureConfig, env: Mapping[str, str]) -> list[LocalCheck]:
    """Return checks of the tools that this stack needs; `env` has the PATH on which they are looked up."""
    asked = tools.checks("azure-native", "pulumi-azure-native", env)
    return asked if config.part == "storage" else [*asked, LocalCheck(SSH, lambda: _ssh(env))]


def _ssh(env: Mapping[str, str]) -> Finding:
    # ssh prints its version to stderr: running it is enough.
    ask(["ssh", "-V"], "Install it: `sudo apt-get install openssh-client`.", env)
    return Finding(SSH, "passed", "there")

"""What this machine needs for a stack on Azure: Pulumi, its plugin, and ssh."""

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
    """The tools that this stack takes; `env` has the PATH on which they are looked for."""
    asked = tools.checks("azure-native", "pulumi-azure-native", env)
    return asked if config.part == "storage" else [*asked, LocalCheck(SSH, lambda: _ssh(env))]


def _ssh(env: Mapping[str, str]) -> Finding:
    # ssh prints its version to stderr: that it runs is enough.
    ask(["ssh", "-V"], "Install it: `sudo apt-get install openssh-client`.", env)
    return Finding(SSH, "holds", "there")

"""Checks of tools for a stack on Azure: Pulumi, its plugin, Azure's CLI, and ssh."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import azure
from infra.preflight import tools
from infra.preflight.ask import ask
from infra.preflight.finding import Finding, LocalCheck

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

SSH: Final = "ssh"
AZ: Final = "Azure CLI"


def checks(config: AzureConfig, env: Mapping[str, str]) -> list[LocalCheck]:
    """Return checks of the tools that this stack needs; `env` has the PATH on which they are looked up."""
    asked = [*tools.checks("azure-native", "pulumi-azure-native", env), LocalCheck(AZ, lambda: _az(env))]
    return asked if config.part == "storage" else [*asked, LocalCheck(SSH, lambda: _ssh(env))]


def _az(env: Mapping[str, str]) -> Finding:
    """Look for Azure's CLI: a service principal or a managed identity logs in without it."""
    if shutil.which("az", path=env.get("PATH")) is None:
        said = "not on PATH; `az login` needs it, and the commands that other lines name"
        return Finding(AZ, "note", said, f"{azure.INSTALL_AZ}.")
    said = ask(["az", "version", "--query", '"azure-cli"', "--output", "tsv"], f"{azure.INSTALL_AZ}.", env)
    return Finding(AZ, "passed", said)


def _ssh(env: Mapping[str, str]) -> Finding:
    # ssh prints its version to stderr: running it is enough.
    ask(["ssh", "-V"], "Install it: `sudo apt-get install openssh-client`.", env)
    return Finding(SSH, "passed", "there")

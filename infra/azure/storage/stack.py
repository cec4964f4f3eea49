"""Checks that a cluster can use the storage of another stack (`storageStack`). Pure except for reading its
file.

They run twice: on the stack's file, before anything is created, and on the stack's own output.
"""

from __future__ import annotations

from pathlib import Path

from bootstrap.errors import StackError
from infra.azure.settings.config import AzureConfig
from infra.config import from_file
from infra.tags import PROJECT


def file_of(name: str, project: Path) -> Path | None:
    """Return the file of a stack of this project; None if it is not here."""
    *full, own = name.split("/")
    if full and full[-1] != PROJECT:
        return None
    file = project / f"Pulumi.{own}.yaml"
    return file if file.is_file() else None


def check_file(config: AzureConfig, stack: str, file: Path, subscription: str | None) -> None:
    """Check a cluster's configuration against the file of its storage stack; `subscription` is the cluster's.

    Raises:
        ConfigError: the file is not valid.
        StackError: that stack is not a storage stack, or the cluster cannot use it.
    """
    there = from_file(file, file.name.removeprefix("Pulumi.").removesuffix(".yaml"))
    if not isinstance(there, AzureConfig) or there.part != "storage":
        raise StackError(
            setting_text(config), f"by {file.name}, that stack is not a storage stack", another_stack(stack)
        )
    check_location(config, stack, there.region, there.storage_mode)
    check_subscription(config, stack, there.subscription, subscription)


def check_location(config: AzureConfig, stack: str, region: str, mode: str) -> None:
    """Check that the storage's region and mode fit the cluster's.

    Raises:
        StackError: they do not.
    """
    if region != config.region:
        raise StackError(
            setting_text(config),
            f"its storage is in {region}, and the cluster would be in {config.region}",
            f"Run `pulumi config set region {region} --stack {stack}`.",
        )
    if (mode == "abfss-msi") != config.hierarchical:
        raise StackError(
            setting_text(config),
            f"its account was made for {mode}, and the cluster uses {config.storage_mode}",
            f"Run `pulumi config set storageMode {mode} --stack {stack}`.",
        )


def check_subscription(config: AzureConfig, stack: str, theirs: str | None, ours: str | None) -> None:
    """Check that storage and cluster are in the same subscription; the cluster's provider sees only its own.

    Raises:
        StackError: they differ; unknown ones are not compared.
    """
    if theirs and ours and theirs.lower() != ours.lower():
        raise StackError(
            setting_text(config),
            f"its storage is in subscription {theirs}, and the cluster would be in {ours}",
            f"Run `pulumi config set subscription {theirs} --stack {stack}`.",
        )


def setting_text(config: AzureConfig) -> str:
    """Return the setting as messages show it."""
    return f"{PROJECT}:storageStack = {config.storage_stack}"


def another_stack(stack: str) -> str:
    """Return the fix if a stack has no storage. It does not convert that stack, which may be a cluster's."""
    return (
        f"Run `pulumi config set storageStack NAME --stack {stack}` with the name of a stack whose part is "
        "storage (docs/azure.md)."
    )

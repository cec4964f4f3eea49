"""Whether a cluster can use the storage of another stack (`storageStack`). Pure but for that stack's file.

It is asked twice: of the file, before anything is made, and of what the stack itself says while it is used.
"""

from __future__ import annotations

from pathlib import Path

from bootstrap.errors import StackError
from infra.azure.settings.config import AzureConfig
from infra.config import from_file
from infra.tags import PROJECT


def file_of(name: str, project: Path) -> Path | None:
    """The file of a stack of this project, where it lies here: whoever made it may have it elsewhere."""
    *full, own = name.split("/")
    if full and full[-1] != PROJECT:
        return None
    file = project / f"Pulumi.{own}.yaml"
    return file if file.is_file() else None


def check_file(config: AzureConfig, stack: str, file: Path, subscription: str | None) -> None:
    """Compare a cluster's configuration with the file of the stack that it names; `subscription`: its own.

    Raises:
        ConfigError: the file holds something that its stack could not be made of.
        StackError: its stack is no storage, or one that the cluster cannot use.
    """
    there = from_file(file, file.name.removeprefix("Pulumi.").removesuffix(".yaml"))
    if not isinstance(there, AzureConfig) or there.part != "storage":
        raise StackError(given(config), f"by {file.name} that stack is no storage", another(stack))
    compare(config, stack, there.region, there.storage_mode)
    same_subscription(config, stack, there.subscription, subscription)


def compare(config: AzureConfig, stack: str, region: str, mode: str) -> None:
    """Where a storage is, and what it was made for, beside the cluster's.

    Raises:
        StackError: it is elsewhere, or of another kind.
    """
    if region != config.region:
        raise StackError(
            given(config),
            f"its storage is in {region}, and a cluster cannot be elsewhere ({config.region})",
            f"Run `pulumi config set region {region} --stack {stack}`.",
        )
    if (mode == "abfss-msi") != config.hierarchical:
        raise StackError(
            given(config),
            f"its account was made for {mode}, and the cluster wants {config.storage_mode}",
            f"Run `pulumi config set storageMode {mode} --stack {stack}`.",
        )


def same_subscription(config: AzureConfig, stack: str, theirs: str | None, ours: str | None) -> None:
    """A cluster's provider sees one subscription; a storage in another one is not found by its name there.

    Raises:
        StackError: they are two; where one is not known, nothing is said.
    """
    if theirs and ours and theirs.lower() != ours.lower():
        raise StackError(
            given(config),
            f"its storage is in subscription {theirs}, and the cluster would be in {ours}",
            f"Run `pulumi config set subscription {theirs} --stack {stack}`.",
        )


def given(config: AzureConfig) -> str:
    """The setting, as a line names it."""
    return f"{PROJECT}:storageStack = {config.storage_stack}"


def another(stack: str) -> str:
    """What to type where a stack has no storage: never what would make one of it, it may be a cluster's."""
    return (
        f"Run `pulumi config set storageStack NAME --stack {stack}` with the name of a stack whose part is "
        "storage (docs/azure.md)."
    )

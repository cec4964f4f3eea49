"""The storage that a cluster uses: its own stack's, or that of a stack of storage (`storageStack`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pulumi

from bootstrap.errors import StackError
from infra.azure.config import AzureConfig
from infra.azure.place import Place
from infra.azure.storage import SharedStorage, SharedStorageArgs
from infra.tags import PROJECT

OUTPUT: Final = "storage"
"""Name of the output by which a stack of storage says what is in it."""
VERSION: Final = 1

Outputs = dict[str, Any]


@dataclass(frozen=True)
class FoundStorage:
    """What a cluster needs of its storage."""

    group: pulumi.Output[str]
    account: pulumi.Output[str]
    account_id: pulumi.Output[str]
    scripts_account: pulumi.Output[str]
    container: pulumi.Output[str]
    ready: list[pulumi.Resource]


def own(config: AzureConfig, place: Place, *, subnet_id: pulumi.Input[str] | None) -> FoundStorage:
    """The stack's own; `subnet_id`: of the one cluster that uses it, None where clusters come and go."""
    storage = SharedStorage(
        "storage",
        SharedStorageArgs(
            stack=place.stack,
            group=place.group,
            group_id=place.group_id,
            region=place.region,
            container=config.container,
            tags=place.tags,
            hierarchical=config.hierarchical,
            subnet_id=subnet_id,
            admin_cidrs=config.admin_cidrs,
        ),
        place.here,
    )
    return FoundStorage(
        place.group,
        storage.account,
        storage.account_id,
        storage.scripts_account,
        pulumi.Output.from_input(config.container),
        storage.ready,
    )


def of_stack(config: AzureConfig, stack: str, name: str) -> FoundStorage:
    """That of the stack called `name`, of this project unless the name says another."""
    # Backends without organizations call theirs so.
    organization = pulumi.get_organization() or "organization"
    full = name if "/" in name else f"{organization}/{PROJECT}/{name}"
    reference = pulumi.StackReference("storage-stack", stack_name=full)
    found = reference.get_output(OUTPUT).apply(partial(checked, config, stack, name))

    def part(key: str) -> pulumi.Output[str]:
        return found.apply(lambda document: str(document[key]))

    return FoundStorage(
        part("resource_group"),
        part("account"),
        part("account_id"),
        part("scripts_account"),
        part("container"),
        [reference],
    )


def document(config: AzureConfig, storage: FoundStorage) -> Outputs:
    """What a stack of storage says of itself: nothing of it is secret."""
    return {
        "version": VERSION,
        "mode": config.storage_mode,
        "region": config.region,
        "resource_group": storage.group,
        "account": storage.account,
        "account_id": storage.account_id,
        "scripts_account": storage.scripts_account,
        "container": storage.container,
    }


def checked(config: AzureConfig, stack: str, name: str, found: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The document of a stack of storage, where a cluster of this configuration can use it. Pure.

    Raises:
        StackError: there is none, or its storage is elsewhere or of another kind.
    """
    given = f"{PROJECT}:storageStack = {name}"
    if not found or found.get("version") != VERSION:
        raise StackError(
            given,
            f"that stack has no output `{OUTPUT}` of version {VERSION}",
            f"Run `pulumi config set part storage --stack {name} && pulumi up --stack {name}`.",
        )
    if found["region"] != config.region:
        raise StackError(
            given,
            f"its storage is in {found['region']}, and a cluster cannot be elsewhere ({config.region})",
            f"Run `pulumi config set region {found['region']} --stack {stack}`.",
        )
    if (found["mode"] == "abfss-msi") != config.hierarchical:
        raise StackError(
            given,
            f"its account was made for {found['mode']}, and the cluster wants {config.storage_mode}",
            f"Run `pulumi config set storageMode {found['mode']} --stack {stack}`.",
        )
    return found

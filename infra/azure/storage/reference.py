"""The storage that a cluster uses: its own stack's, or that of a stack of storage (`storageStack`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pulumi

from bootstrap.errors import StackError
from infra.azure import names
from infra.azure.context import StackContext
from infra.azure.settings.config import AzureConfig
from infra.azure.storage import stack as storage_stack
from infra.azure.storage.account import SharedStorage, SharedStorageArgs
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


def own(config: AzureConfig, context: StackContext, *, subnet_id: pulumi.Input[str] | None) -> FoundStorage:
    """The stack's own; `subnet_id`: of the one cluster that uses it, None where clusters come and go."""
    storage = SharedStorage(
        "storage",
        SharedStorageArgs(
            stack=context.stack,
            part=config.part,
            group=context.group,
            group_id=context.group_id,
            region=context.region,
            container=config.container,
            tags=context.tags,
            hierarchical=config.hierarchical,
            subnet_id=subnet_id,
            admin_cidrs=config.admin_cidrs,
        ),
        context.here,
    )
    return FoundStorage(
        context.group,
        storage.account,
        storage.account_id,
        storage.scripts_account,
        pulumi.Output.from_input(config.container),
        storage.ready,
    )


def of_stack(config: AzureConfig, stack: str, name: str, subscription: str) -> FoundStorage:
    """That of the stack called `name`, of this project unless the name says another.

    `subscription` is the cluster's, where the storage has to be, too.
    """
    # Backends without organizations call theirs so.
    organization = pulumi.get_organization() or "organization"
    full = name if "/" in name else f"{organization}/{PROJECT}/{name}"
    reference = pulumi.StackReference("storage-stack", stack_name=full)
    found = reference.get_output(OUTPUT).apply(partial(usable, config, stack, subscription))

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


def usable(
    config: AzureConfig, stack: str, subscription: str, found: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """`checked`, for a program that runs already.

    Raises:
        RunError: what `checked` says.
    """
    try:
        return checked(config, stack, subscription, found)
    except StackError as error:
        # Of all exceptions, Pulumi prints only this one in a line by then.
        raise pulumi.RunError(str(error)) from None


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


def checked(
    config: AzureConfig, stack: str, subscription: str, found: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """The document of a stack of storage, where a cluster of this configuration can use it. Pure.

    Raises:
        StackError: there is none, or its storage is elsewhere or of another kind.
    """
    if not found or found.get("version") != VERSION:
        why = f"that stack has no output `{OUTPUT}` of version {VERSION}"
        raise StackError(storage_stack.given(config), why, storage_stack.another(stack))
    storage_stack.compare(config, stack, found["region"], found["mode"])
    theirs = names.subscription(found["account_id"])
    storage_stack.same_subscription(config, stack, theirs, subscription)
    return found

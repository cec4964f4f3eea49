"""Storage that a cluster uses: its own stack's, another stack's (`storageStack`), or given to it."""

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
from infra.azure.settings.given import parts
from infra.azure.storage import stack as storage_stack
from infra.azure.storage.account import SharedStorage, SharedStorageArgs
from infra.tags import PROJECT

OUTPUT: Final = "storage"
"""Name of the output with which a storage stack describes its storage."""
VERSION: Final = 1

Outputs = dict[str, Any]


@dataclass(frozen=True)
class FoundStorage:
    """Everything that a cluster needs of its storage."""

    group: pulumi.Output[str]
    """Resource group of the account of scripts."""
    account: pulumi.Output[str]
    account_id: pulumi.Output[str]
    scripts_account: pulumi.Output[str]
    container: pulumi.Output[str]
    ready: list[pulumi.Resource]


def own(config: AzureConfig, context: StackContext, *, subnet_id: pulumi.Input[str] | None) -> FoundStorage:
    """Create the stack's own storage; `subnet_id` is that of its only cluster, None if clusters come and
    go."""
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


def given(config: AzureConfig, account_id: str) -> FoundStorage:
    """Return storage that the stack is given, of which it registers nothing: its containers exist."""
    files, scripts = parts(account_id), parts(config.scripts_account_id or account_id)
    known = pulumi.Output.from_input
    return FoundStorage(
        known(scripts.group),
        known(files.name),
        known(account_id),
        known(scripts.name),
        known(config.container),
        [],
    )


def of_stack(config: AzureConfig, stack: str, name: str, subscription: str) -> FoundStorage:
    """Look up the storage of the stack `name`, in this project unless the name has another.

    `subscription` is the cluster's, which the storage must be in, too.
    """
    # Name of the organization in backends without organizations.
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
    """Check the document, as `checked`, while the program is running.

    Raises:
        RunError: with the message of `checked`.
    """
    try:
        return checked(config, stack, subscription, found)
    except StackError as error:
        # The only exception that Pulumi prints in one line at this point.
        raise pulumi.RunError(str(error)) from None


def document(config: AzureConfig, storage: FoundStorage) -> Outputs:
    """Return the document with which a storage stack describes its storage; it contains no secret."""
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
    """Check that a cluster of this configuration can use the storage in a document. Pure.

    Raises:
        StackError: there is no document, or its storage is elsewhere or of another kind.
    """
    if not found or found.get("version") != VERSION:
        why = f"that stack has no output `{OUTPUT}` of version {VERSION}"
        raise StackError(storage_stack.setting_text(config), why, storage_stack.another_stack(stack))
    storage_stack.check_location(config, stack, found["region"], found["mode"])
    theirs = names.subscription(found["account_id"])
    storage_stack.check_subscription(config, stack, theirs, subscription)
    return found

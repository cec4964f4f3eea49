"""Checks that the stack's names are free: those of its cluster, storage and resource group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootstrap.clouds import azure
from infra.azure.arm import STORAGE
from infra.azure.preflight.cloud import Cloud, ours
from infra.azure.storage import stack as storage_stack
from infra.preflight.finding import CloudCheck, Finding
from infra.settings import stack_file

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

GROUP: Final = "resource group"
CLUSTER: Final = "cluster name"
ACCOUNT: Final = "storage account"


def checks(config: AzureConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return checks of the names that this stack uses."""
    asked: list[CloudCheck[Cloud]] = [CloudCheck(GROUP, lambda cloud: [_group(cloud, stack)])]
    if config.part == "cluster":
        asked.append(CloudCheck(CLUSTER, lambda cloud: [_cluster(cloud, stack)]))
    if config.storage_account_id:
        return asked
    if config.storage_stack:
        name = config.storage_stack
        asked.append(CloudCheck(ACCOUNT, lambda cloud: [_kept(cloud, config, name, stack)]))
        return asked
    asked.append(CloudCheck(ACCOUNT, lambda cloud: [_account(cloud, "account", stack)]))
    if config.hierarchical:
        asked.append(CloudCheck(ACCOUNT, lambda cloud: [_account(cloud, "scripts_account", stack)]))
    return asked


def _group(cloud: Cloud, stack: str) -> Finding:
    name = cloud.names["group"]
    if cloud.group is None:
        return Finding(GROUP, "passed", f"the name {name} is free")
    if ours(cloud.group, stack):
        return Finding(GROUP, "passed", f"{name} is this stack's")
    tags = cloud.group.get("tags") or {}
    whose = ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "it has no tags"
    return Finding(
        GROUP,
        "failed",
        f"the subscription has a resource group {name} that is not this stack's ({whose})",
        f"Use another name: `cp Pulumi.{stack}.yaml Pulumi.NAME.yaml`, then `pulumi stack init NAME`.",
    )


def _cluster(cloud: Cloud, stack: str) -> Finding:
    name = cloud.names["cluster"]
    if cloud.cluster is not None:
        return Finding(CLUSTER, "passed", f"{name} is this stack's")
    from azure.mgmt.hdinsight.models import NameAvailabilityCheckRequestParameters

    with azure.translate_errors(f"asking whether the name {name} is free", stack):
        asked = NameAvailabilityCheckRequestParameters(name=name, type="clusters")
        answer = cloud.locations.check_name_availability(cloud.region, asked)
    if answer.name_available:
        return Finding(CLUSTER, "passed", f"the name {name} is free")
    why = " ".join((answer.message or answer.reason or "it is not available").split()).rstrip(".")
    return Finding(
        CLUSTER,
        "failed",
        f"{name}: {why}; cluster names are globally unique",
        f"Run `pulumi config set clusterName NAME --stack {stack}`.",
    )


def _kept(cloud: Cloud, config: AzureConfig, name: str, stack: str) -> Finding:
    """Check another stack's storage by that stack's file; only `pulumi up` can ask the stack itself."""
    file = storage_stack.file_of(name, stack_file.project())
    if file is None:
        said = f"{name}'s (storageStack), whose file is not here: `pulumi up` checks that stack"
        return Finding(ACCOUNT, "note", said)
    storage_stack.check_file(config, stack, file, cloud.subscription)
    return Finding(ACCOUNT, "passed", f"{name}'s (storageStack), which fits as {file.name} has it")


def _account(cloud: Cloud, part: str, stack: str) -> Finding:
    name = cloud.names[part]
    path = f"/subscriptions/{cloud.subscription}/providers/Microsoft.Storage/checkNameAvailability"
    with azure.translate_errors(f"asking whether the name {name} is free", stack):
        body = {"name": name, "type": "Microsoft.Storage/storageAccounts"}
        answer = cloud.arm.post(path, STORAGE, body)
        if answer.get("nameAvailable"):
            return Finding(ACCOUNT, "passed", f"the name {name} is free")
        own = f"{cloud.names['group_id']}/providers/Microsoft.Storage/storageAccounts/{name}"
        there = cloud.arm.find(own, STORAGE)
    if there is not None:
        return Finding(ACCOUNT, "passed", f"{name} is this stack's")
    why = " ".join(
        str(answer.get("message") or answer.get("reason") or "it is not available").split()
    ).rstrip(".")
    return Finding(
        ACCOUNT,
        "failed",
        f"{name}: {why}",
        f"Its name follows the stack's: `cp Pulumi.{stack}.yaml Pulumi.NAME.yaml`, then "
        "`pulumi stack init NAME`.",
    )

"""Checks of the login's rights on what the stack is given, each at that resource: companies grant no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bootstrap.clouds import azure
from infra.azure.arm import PERMISSIONS
from infra.azure.preflight import given_storage
from infra.azure.preflight.account import GIVE, KEYS, lacking
from infra.azure.preflight.cloud import Cloud
from infra.azure.settings.given import parts
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

JOIN: Final = "Microsoft.Network/virtualNetworks/subnets/join/action"
JOIN_STORAGE: Final = "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action"
ASSIGN: Final = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
ASSIGN_ANY: Final = "Microsoft.ManagedIdentity/userAssignedIdentities/x/assign/action"
"""The same as the built-in role Managed Identity Operator grants it: `userAssignedIdentities/*/assign`."""
ROLES: Final = {
    JOIN: "'Network Contributor'",
    JOIN_STORAGE: "'Network Contributor'",
    ASSIGN: "'Managed Identity Operator'",
    KEYS: "'Storage Account Key Operator Service Role'",
    GIVE: "'Role Based Access Control Administrator'",
}
"""Action → the smallest built-in role that has it."""


def needed(config: AzureConfig) -> dict[str, list[str]]:
    """Return the actions that `pulumi up` takes on what it is given, by resource id. Pure."""
    found: dict[str, list[str]] = {}
    if config.subnet_id:
        admits = config.own_storage and config.admin_cidrs
        found[config.subnet_id] = [JOIN, *([JOIN_STORAGE] if admits else [])]
    for one in given_storage.wanted(config):
        found[one.id.text] = [KEYS] if one.keyed else []
    if config.storage_account_id and config.gives_role:
        found[config.storage_account_id] += [GIVE]
    if config.identity_id:
        found[config.identity_id] = [ASSIGN]
    return {id_: actions for id_, actions in found.items() if actions}


def checks(config: AzureConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return a check for each resource."""
    return [_check(id_, actions, stack) for id_, actions in needed(config).items()]


def _check(id_: str, actions: list[str], stack: str) -> CloudCheck[Cloud]:
    name = f"rights: {parts(id_).name}"
    return CloudCheck(name, lambda cloud: [_rights(cloud, name, id_, actions, stack)])


def _rights(cloud: Cloud, name: str, id_: str, actions: list[str], stack: str) -> Finding:
    with azure.translate_errors(f"asking for this login's rights on {parts(id_).name}", stack):
        path = f"{id_}/providers/Microsoft.Authorization/permissions"
        found = list(cloud.arm.list_all(path, PERMISSIONS))
    missing = [one for one in lacking(actions, found) if one != ASSIGN or lacking([ASSIGN_ANY], found)]
    if not missing:
        return Finding(name, "passed", "this login may use it")
    commands = [
        f"`az role assignment create --assignee YOU --role {role} --scope {id_}`"
        for role in dict.fromkeys(ROLES[one] for one in missing)
    ]
    return Finding(
        name,
        "failed",
        f"this login may not {', '.join(missing)}",
        f"Let an administrator run {' and '.join(commands)}.",
    )

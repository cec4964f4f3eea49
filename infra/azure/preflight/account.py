"""Checks of the login: its subscription and its permissions."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import azure
from infra.azure.arm import PERMISSIONS, Document
from infra.azure.preflight.cloud import Cloud
from infra.azure.subscription import NotUsable, is_usable
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

LOGIN: Final = "login"
RIGHTS: Final = "rights"
GIVE: Final = "Microsoft.Authorization/roleAssignments/write"
KEYS: Final = "Microsoft.Storage/storageAccounts/listKeys/action"


def login(found: Document) -> Finding:
    """Return the finding of the selected subscription.

    Raises:
        NotUsable: the subscription is disabled, so that nothing can be created in it.
    """
    name, number = found.get("displayName", ""), found["subscriptionId"]
    if not is_usable(found):
        raise NotUsable(
            f"subscription {number}",
            f"subscription {name} ({number}) is {found['state']}: nothing can be created in it",
            "Look at it in the portal (Subscriptions), or use another one.",
        )
    return Finding(LOGIN, "passed", f"subscription {name} ({number}), tenant {found.get('tenantId', '?')}")


def checks(config: AzureConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check of the actions in `needed`."""
    return [CloudCheck(RIGHTS, lambda cloud: [_rights(cloud, config, stack)])]


def needed(config: AzureConfig) -> list[str]:
    """Return actions that are representative of everything that `pulumi up` creates; `given_rights` has those
    on what it is given. Pure."""
    found = ["Microsoft.Resources/subscriptions/resourceGroups/write"]
    if not config.storage_account_id:
        found += ["Microsoft.Storage/storageAccounts/write", KEYS]
    if config.part == "storage":
        return found
    if not config.subnet_id:
        found += [
            "Microsoft.Network/virtualNetworks/write",
            "Microsoft.Network/virtualNetworks/subnets/join/action",
        ]
    found.append("Microsoft.HDInsight/clusters/write")
    if config.by_identity and not config.identity_id:
        found.append("Microsoft.ManagedIdentity/userAssignedIdentities/write")
    if config.gives_role and not config.storage_account_id:
        found.append(GIVE)
    return [*found, *(["Microsoft.OperationalInsights/workspaces/write"] if config.log_analytics else [])]


def lacking(wanted: Iterable[str], permissions: Iterable[Document]) -> list[str]:
    """Return the actions that no role grants; roles have actions and notActions with `*` as a wildcard.
    Pure."""
    roles = list(permissions)
    return [
        action
        for action in wanted
        if not any(
            _matches(action, role.get("actions", [])) and not _matches(action, role.get("notActions", []))
            for role in roles
        )
    ]


def _matches(action: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


def _rights(cloud: Cloud, config: AzureConfig, stack: str) -> Finding:
    scope = f"/subscriptions/{cloud.subscription}"
    with azure.translate_errors("asking for this login's rights", stack):
        found = list(
            cloud.arm.list_all(f"{scope}/providers/Microsoft.Authorization/permissions", PERMISSIONS)
        )
    missing = lacking(needed(config), found)
    if not missing:
        gives = ", and assign the identity's role" if GIVE in needed(config) else ""
        return Finding(RIGHTS, "passed", f"this login may create everything{gives}")
    return Finding(
        RIGHTS,
        "failed",
        f"this login may not {', '.join(missing)}",
        f"Let an administrator run {' and '.join(_grants(missing, scope))}.",
    )


def _grants(missing: Iterable[str], scope: str) -> Iterator[str]:
    actions = list(missing)
    roles = ["Contributor"] if any(action != GIVE for action in actions) else []
    roles += ["'Role Based Access Control Administrator'"] if GIVE in actions else []
    for role in roles:
        yield f"`az role assignment create --assignee YOU --role {role} --scope {scope}`"

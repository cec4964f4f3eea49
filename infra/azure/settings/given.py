"""Resources that a stack on Azure is given: a subnet, storage accounts, a managed identity. Pure.

The stack uses them, and neither changes nor deletes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from infra.settings.commands import rm_command, set_command
from infra.settings.refusal import Refusal
from infra.settings.section import Hint

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

NOWHERE: Final = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/GROUP/providers"
"""Beginning of the examples."""
SUBNET_HINT: Final = Hint(
    f"{NOWHERE}/Microsoft.Network/virtualNetworks/VNET/subnets/SUBNET",
    "the id of a subnet, as in `az network vnet subnet show`",
)
ACCOUNT_HINT: Final = Hint(
    f"{NOWHERE}/Microsoft.Storage/storageAccounts/account",
    "the id of a storage account, as in `az storage account show`",
)
SCRIPTS_HINT: Final = Hint(f"{NOWHERE}/Microsoft.Storage/storageAccounts/scripts", ACCOUNT_HINT.valid)
IDENTITY_HINT: Final = Hint(
    f"{NOWHERE}/Microsoft.ManagedIdentity/userAssignedIdentities/NAME",
    "the id of a user-assigned identity, as in `az identity show`",
)
_BEGIN: Final = (
    r"/subscriptions/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/resourceGroups/[\w.()-]{1,90}/providers/"
)
_SUBNET: Final = r"Microsoft\.Network/virtualNetworks/[\w.-]{2,64}/subnets/[\w.-]{1,80}"
_ACCOUNT: Final = r"Microsoft\.Storage/storageAccounts/(?-i:[a-z0-9]{3,24})"
_IDENTITY: Final = r"Microsoft\.ManagedIdentity/userAssignedIdentities/[\w-]{3,128}"


@dataclass(frozen=True)
class ResourceId:
    """An id of Azure Resource Manager, in its parts."""

    text: str
    subscription: str
    group: str
    name: str

    @property
    def parent(self) -> str:
        """Id of the network of a subnet."""
        return "/".join(self.text.split("/")[:-2])


def subnet(text: str) -> str:
    """Validate the id of a subnet.

    Raises:
        ValueError: it is not one.
    """
    return _valid(text, _SUBNET, "a subnet")


def account(text: str) -> str:
    """Validate the id of a storage account.

    Raises:
        ValueError: it is not one.
    """
    return _valid(text, _ACCOUNT, "a storage account")


def identity(text: str) -> str:
    """Validate the id of a user-assigned managed identity.

    Raises:
        ValueError: it is not one.
    """
    return _valid(text, _IDENTITY, "a user-assigned identity")


def parts(text: str) -> ResourceId:
    """Return the parts of an id that is Azure's, or has been validated."""
    _, _, subscription, _, group, *_, name = text.split("/")
    return ResourceId(text, subscription, group, name)


def _valid(text: str, below: str, what: str) -> str:
    if re.fullmatch(_BEGIN + below, text, re.IGNORECASE) is None:
        raise ValueError(f"it is not the id of {what}")
    return text


def check(config: AzureConfig) -> None:
    """Raise the first `Refusal` of what the stack is given."""
    found = ids(config)
    if config.part == "storage" and found:
        key = next(iter(found))
        why = "this stack has storage alone (part), of its own; valid: in the stack of a cluster"
        raise Refusal(key, found[key], why, rm_command(key))
    _network(config)
    _storage(config)
    _identity(config)
    _one_subscription(config)


def ids(config: AzureConfig) -> dict[str, str]:
    """Return the ids that a stack is given, by setting."""
    found = {
        "subnetId": config.subnet_id,
        "storageAccountId": config.storage_account_id,
        "scriptsAccountId": config.scripts_account_id,
        "identityId": config.identity_id,
    }
    return {key: value for key, value in found.items() if value}


def subscription_of(config: AzureConfig) -> str | None:
    """Return the stack's subscription as far as settings have it: their own, or that of what is given."""
    return config.subscription or next((parts(one).subscription for one in ids(config).values()), None)


def _network(config: AzureConfig) -> None:
    if config.subnet_id and "cidr" in config.model_fields_set:
        why = "subnetId names the subnet, which has its own range; valid: one of the two keys"
        raise Refusal("cidr", config.cidr, why, rm_command("cidr"))


def _storage(config: AzureConfig) -> None:
    if config.storage_account_id is None:
        if config.scripts_account_id:
            why = "it goes with storageAccountId, which is missing; valid: both, or neither"
            raise Refusal("scriptsAccountId", config.scripts_account_id, why, rm_command("scriptsAccountId"))
        return
    if config.storage_stack:
        why = f"storageAccountId names the storage; valid: that, or storageStack ({config.storage_stack})"
        raise Refusal("storageStack", config.storage_stack, why, rm_command("storageStack"))
    if config.force_destroy:
        why = "the account of storageAccountId is not deleted with the stack; valid: false"
        raise Refusal("forceDestroy", "true", why, rm_command("forceDestroy"))
    if config.hierarchical and config.scripts_account_id is None:
        why = (
            "HDInsight reads no scripts from Data Lake Storage (abfss-msi), and scriptsAccountId is missing; "
            "valid: scriptsAccountId beside it, an account of blobs"
        )
        raise Refusal(
            "storageAccountId",
            config.storage_account_id,
            why,
            set_command("scriptsAccountId", SCRIPTS_HINT.example),
        )
    if config.scripts_account_id and not config.hierarchical:
        why = f"{config.storage_mode} has scripts in the account of its files; valid: with abfss-msi"
        raise Refusal("scriptsAccountId", config.scripts_account_id, why, rm_command("scriptsAccountId"))
    if (config.scripts_account_id or "").lower() == config.storage_account_id.lower():
        why = "it is the account of the files (storageAccountId); valid: another one, of blobs"
        raise Refusal("scriptsAccountId", config.scripts_account_id, why, rm_command("scriptsAccountId"))


def _identity(config: AzureConfig) -> None:
    said = str(config.assign_role).lower()
    if not config.by_identity:
        if config.identity_id:
            why = "wasbs-key reaches the storage by its key; valid: identityId with wasbs-msi or abfss-msi"
            raise Refusal("identityId", config.identity_id, why, set_command("storageMode", "wasbs-msi"))
        if config.assign_role is not None:
            why = "wasbs-key reaches the storage by its key; valid: assignRole with wasbs-msi or abfss-msi"
            raise Refusal("assignRole", said, why, rm_command("assignRole"))
        return
    if config.assign_role is False and config.own_storage:
        why = "nobody else can give a role on the stack's own account, which is new; valid: true, or nothing"
        raise Refusal("assignRole", said, why, rm_command("assignRole"))
    if not (config.gives_role or config.identity_id):
        why = (
            "the stack's new identity would have no role on the storage; valid: identityId of one that has, "
            "or assignRole true"
        )
        key, value = (
            ("assignRole", said)
            if config.storage_account_id is None
            else ("storageAccountId", config.storage_account_id)
        )
        raise Refusal(key, value, why, set_command("assignRole", "true"))


def _one_subscription(config: AzureConfig) -> None:
    """Check the subscription. A network interface must be in its network's subscription, and the stack's
    provider sees only one: https://learn.microsoft.com/azure/virtual-network/virtual-network-network-interface
    """
    found = {key: parts(value).subscription.lower() for key, value in ids(config).items()}
    ours = (config.subscription or next(iter(found.values()), "")).lower()
    for key, theirs in found.items():
        if theirs != ours:
            whose = "the stack" if config.subscription else "what else it is given"
            why = f"it is in subscription {theirs}, and {whose} in {ours}; valid: all in one subscription"
            raise Refusal(key, ids(config)[key], why, rm_command(key))

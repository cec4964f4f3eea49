"""Checks of storage that the stack is given (`storageAccountId`, `scriptsAccountId`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from infra.azure.arm import STORAGE
from infra.azure.preflight.cloud import Cloud
from infra.azure.preflight.free import ACCOUNT
from infra.azure.preflight.given_read import read
from infra.azure.settings.given import ResourceId, parts
from infra.azure.settings.name_rules import ARTIFACTS
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.azure.arm import Document
    from infra.azure.settings.config import AzureConfig

SCRIPTS: Final = "scripts account"
GENERAL: Final = ("StorageV2", "Storage")
"""Kinds of accounts that hold any blobs: https://learn.microsoft.com/azure/hdinsight/overview-azure-storage"""


@dataclass(frozen=True)
class Wanted:
    """What an account must be for its part: `containers` exist, `keyed` has its key, `hierarchical` is Data
    Lake Storage Gen2."""

    name: str
    setting: str
    id: ResourceId
    containers: tuple[str, ...]
    hierarchical: bool
    keyed: bool


def wanted(config: AzureConfig) -> list[Wanted]:
    """Return the accounts that the stack is given. Pure."""
    if config.storage_account_id is None:
        return []
    files = parts(config.storage_account_id)
    if config.scripts_account_id is None:
        containers = (config.container, ARTIFACTS)
        return [Wanted(ACCOUNT, "storageAccountId", files, containers, hierarchical=False, keyed=True)]
    scripts = parts(config.scripts_account_id)
    return [
        Wanted(ACCOUNT, "storageAccountId", files, (config.container,), hierarchical=True, keyed=False),
        Wanted(SCRIPTS, "scriptsAccountId", scripts, (ARTIFACTS,), hierarchical=False, keyed=True),
    ]


def checks(config: AzureConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return a check for each account; none for a stack with storage of its own."""
    return [_check(one, config, stack) for one in wanted(config)]


def _check(one: Wanted, config: AzureConfig, stack: str) -> CloudCheck[Cloud]:
    return CloudCheck(one.name, lambda cloud: list(_findings(cloud, one, config, stack)))


def _findings(cloud: Cloud, one: Wanted, config: AzureConfig, stack: str) -> Iterator[Finding]:
    other = f"Run `pulumi config set {one.setting} ID --stack {stack}` with another account."
    found = read(cloud, one.id.text, STORAGE, name=one.name, what="storage account", stack=stack, fix=other)
    if isinstance(found, Finding):
        yield found
        return
    faults = [*_kind(found, one, config, other), *_firewall(found, one, config)]
    for container in one.containers:
        faults += _container(cloud, one, container, stack)
    yield from faults
    if not any(fault.failed for fault in faults):
        said = f"{one.id.name} with {' and '.join(one.containers)}; used as it is, and never deleted"
        yield Finding(one.name, "passed", said)


def _kind(found: Document, one: Wanted, config: AzureConfig, other: str) -> Iterator[Finding]:
    name, properties = one.id.name, found.get("properties", {})
    there = str(found.get("location", "")).lower().replace(" ", "")
    if there != config.region:
        why = f"{name} is in {there}, and the cluster would be in {config.region}; both must be in one region"
        yield Finding(one.name, "failed", why, other)
    if bool(properties.get("isHnsEnabled")) != one.hierarchical:
        has = "no hierarchical namespace" if one.hierarchical else "a hierarchical namespace"
        why = f"{name} has {has}, and {config.storage_mode} needs {'one' if one.hierarchical else 'none'}"
        yield Finding(one.name, "failed", why, other)
    if found.get("kind") not in GENERAL:
        yield Finding(one.name, "note", f"{name} is of kind {found.get('kind')}, which HDInsight may refuse")
    if one.keyed and properties.get("allowSharedKeyAccess") is False:
        why = f"{name} accepts no key, by which HDInsight and `pulumi up` reach scripts"
        yield Finding(one.name, "failed", why, _let(one.id, "update --allow-shared-key-access true"))


def _firewall(found: Document, one: Wanted, config: AzureConfig) -> Iterator[Finding]:
    name, properties = one.id.name, found.get("properties", {})
    if properties.get("publicNetworkAccess") == "Disabled":
        said = f"{name} is reached by private endpoints only: from the cluster's network, and from here"
        yield Finding(one.name, "note", said)
        return
    acls = properties.get("networkAcls") or {}
    if acls.get("defaultAction") != "Deny":
        return
    if "AzureServices" not in str(acls.get("bypass", "")):
        why = f"the firewall of {name} does not except trusted services, among them HDInsight"
        yield Finding(one.name, "failed", why, _let(one.id, "update --bypass AzureServices"))
    networks = {str(rule.get("id", "")).lower() for rule in acls.get("virtualNetworkRules") or []}
    if config.subnet_id is None:
        why = f"the firewall of {name} admits named subnets only, and the stack would make a new one"
        yield Finding(one.name, "failed", why, "Set subnetId, too, to a subnet that it admits.")
    elif config.subnet_id.lower() not in networks:
        why = f"the firewall of {name} does not admit the cluster's subnet"
        yield Finding(one.name, "failed", why, _let(one.id, f"network-rule add --subnet {config.subnet_id}"))
    ranges = [IPv4Network(str(rule["value"])) for rule in acls.get("ipRules") or [] if rule.get("value")]
    for cidr in config.admin_cidrs:
        if not any(cidr.subnet_of(area) for area in ranges):
            why = f"the firewall of {name} does not admit {cidr} (adminCidrs), from where `pulumi up` writes"
            yield Finding(one.name, "note", why, _let(one.id, f"network-rule add --ip-address {_text(cidr)}"))


def _text(cidr: IPv4Network) -> str:
    """Return a range as the account's firewall accepts it: a single address has no prefix."""
    return str(cidr.network_address) if cidr.num_addresses == 1 else str(cidr)


def _container(cloud: Cloud, one: Wanted, container: str, stack: str) -> Iterator[Finding]:
    path = f"{one.id.text}/blobServices/default/containers/{container}"
    fix = (
        f"Let its owner run `az storage container create --account-name {one.id.name} --name {container} "
        f"--auth-mode login`."
    )
    found = read(cloud, path, STORAGE, name=one.name, what="container", stack=stack, fix=fix)
    if isinstance(found, Finding):
        yield found
    elif str(found.get("properties", {}).get("publicAccess") or "None") != "None":
        yield Finding(one.name, "note", f"container {container} of {one.id.name} can be read by everybody")


def _let(account: ResourceId, words: str) -> str:
    verb, _, rest = words.partition(" --")
    return (
        f"Let its owner run `az storage account {verb} --subscription {account.subscription} "
        f"--resource-group {account.group} {'--account-name' if 'rule' in verb else '--name'} {account.name} "
        f"--{rest}`."
    )

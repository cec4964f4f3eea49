"""Kinds of resources that a stack may leave on Azure, the most expensive first, and CLI commands. Pure."""

from __future__ import annotations

import shlex
from typing import Final

GROUP: Final = "resource group"
CLUSTER: Final = "HDInsight cluster"
ACCOUNT: Final = "storage account"
OTHER: Final = "other"

KINDS: Final = {
    "microsoft.hdinsight/clusters": CLUSTER,
    "microsoft.network/natgateways": "NAT gateway",
    "microsoft.network/publicipaddresses": "public IP address",
    "microsoft.network/privateendpoints": "private endpoint",
    "microsoft.network/loadbalancers": "load balancer",
    "microsoft.storage/storageaccounts": ACCOUNT,
    "microsoft.operationalinsights/workspaces": "Log Analytics workspace",
    "microsoft.network/privatednszones": "private DNS zone",
    "microsoft.network/privatednszones/virtualnetworklinks": "private DNS link",
    "microsoft.network/networkinterfaces": "network interface",
    "microsoft.managedidentity/userassignedidentities": "managed identity",
    "microsoft.network/virtualnetworks": "virtual network",
    "microsoft.network/networksecuritygroups": "network security group",
}
"""Azure's resource type in lower case → kind, the most expensive first."""
_ORDER: Final = (*KINDS.values(), OTHER, GROUP)
FREE_KINDS: Final = frozenset(
    {
        "private DNS link",
        "network interface",
        "managed identity",
        "virtual network",
        "network security group",
        GROUP,
    }
)
"""Kinds that cost nothing by themselves."""


def kind_of(type_: str) -> str:
    """Return the kind of a resource type."""
    return KINDS.get(type_.lower(), OTHER)


def rank(kind: str) -> int:
    """Return the position in the order of deletion: what bills by the hour first, resource groups last."""
    return _ORDER.index(kind)


def az(*words: str, subscription: str) -> str:
    """Format an Azure CLI command."""
    return shlex.join(["az", *words, "--subscription", subscription])

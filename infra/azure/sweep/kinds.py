"""What a stack may leave on Azure, the dearest first, and how commands are written. Pure."""

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
"""Azure's type, in small letters → ours, the dearest first."""
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
"""These cost nothing by themselves."""


def kind_of(type_: str) -> str:
    """What we call things of a type."""
    return KINDS.get(type_.lower(), OTHER)


def rank(kind: str) -> int:
    """What bills by the hour goes first; the group, which takes everything with it, last."""
    return _ORDER.index(kind)


def az(*words: str, subscription: str) -> str:
    """A command line of Azure's CLI."""
    return shlex.join(["az", *words, "--subscription", subscription])

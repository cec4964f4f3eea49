"""Firewall of the storage account: allows the cluster's subnet, operators, and HDInsight itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from typing import Final

import pulumi
from pulumi_azure_native import storage

SMALLEST_RANGE: Final = 30
"""The account's firewall accepts single addresses instead of /31 and /32:
https://learn.microsoft.com/azure/storage/common/storage-network-security"""


def network_rules(
    subnet_id: pulumi.Input[str] | None, admin_cidrs: Sequence[IPv4Network]
) -> storage.NetworkRuleSetArgs:
    """Return the rules; without a subnet or operators' ranges, any address may connect, with a key.

    Storage that outlives its clusters cannot know their subnets, and with Private Link, what the program
    itself uploads comes from an unknown address. HDInsight requires the exception of trusted services:
    https://learn.microsoft.com/azure/hdinsight/overview-azure-storage
    """
    if subnet_id is None or not admin_cidrs:
        return storage.NetworkRuleSetArgs(default_action=storage.DefaultAction.ALLOW, bypass="AzureServices")
    return storage.NetworkRuleSetArgs(
        default_action=storage.DefaultAction.DENY,
        bypass="AzureServices",
        virtual_network_rules=[
            storage.VirtualNetworkRuleArgs(virtual_network_resource_id=subnet_id, action=storage.Action.ALLOW)
        ],
        ip_rules=[
            storage.IPRuleArgs(i_p_address_or_range=text, action=storage.Action.ALLOW)
            for cidr in admin_cidrs
            for text in addresses(cidr)
        ],
    )


def addresses(cidr: IPv4Network) -> Iterator[str]:
    """Yield a range as the account's firewall accepts it."""
    if cidr.prefixlen <= SMALLEST_RANGE:
        yield str(cidr)
    else:
        yield from map(str, cidr)

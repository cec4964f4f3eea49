"""Who may reach the storage account: the cluster's subnet, operators, and HDInsight itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from typing import Final

import pulumi
from pulumi_azure_native import storage

SMALLEST_RANGE: Final = 30
"""The account's firewall takes no /31 and no /32, but single addresses:
https://learn.microsoft.com/azure/storage/common/storage-network-security"""


def network_rules(
    subnet_id: pulumi.Input[str] | None, admin_cidrs: Sequence[IPv4Network]
) -> storage.NetworkRuleSetArgs:
    """Nobody else, where it is known who: without a subnet or an operator's address, everybody with a key.

    A storage that outlives its clusters cannot know their subnets, and where operators come through Private
    Link, what the program itself uploads comes from an address that is not known. HDInsight asks for the
    exception of trusted services: https://learn.microsoft.com/azure/hdinsight/overview-azure-storage
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
    """A range as the account's firewall takes it."""
    if cidr.prefixlen <= SMALLEST_RANGE:
        yield str(cidr)
    else:
        yield from map(str, cidr)

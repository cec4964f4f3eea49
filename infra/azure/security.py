"""Firewall of the cluster: rules as data, and as arguments of a network security group.

Azure's default rules allow everything within the network, everything outbound (the heads use dozens of
Azure's services) and probes of its load balancers, and deny everything else inbound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from pulumi_azure_native import network

from infra.azure.settings.config import AzureConfig
from infra.azure.settings.sizes import Region, table

HTTPS: Final = 443
SSH: Final = "22-23"
"""Port of the active head, and of the other one."""
FIRST_PRIORITY: Final = 300
STEP: Final = 10


@dataclass(frozen=True)
class Rule:
    """An inbound rule; `sources` are a service tag, or ranges."""

    name: str
    sources: tuple[str, ...]
    ports: str
    why: str


def rules(config: AzureConfig) -> list[Rule]:
    """Return all rules of a stack, in order."""
    region = table().regions[config.region]
    inbound = config.resource_provider_connection == "inbound"
    return [*(_from_hdinsight(region) if inbound else ()), *_from_operators(config.admin_cidrs)]


def _from_hdinsight(region: Region) -> Iterator[Rule]:
    for tag in region.service_tags:
        why = "HDInsight's health and management services, which call the cluster"
        yield Rule(tag.replace(".", "-"), (tag,), str(HTTPS), why)


def _from_operators(cidrs: Sequence[IPv4Network]) -> Iterator[Rule]:
    if cidrs:
        sources = tuple(map(str, cidrs))
        yield Rule("operators-ssh", sources, SSH, "SSH of operators (adminCidrs)")
        yield Rule(
            "operators-gateway", sources, str(HTTPS), "Pages of the gateway, for operators (adminCidrs)"
        )


def arguments(found: Sequence[Rule]) -> list[network.SecurityRuleArgs]:
    """Convert the rules to Azure's arguments."""
    return [
        network.SecurityRuleArgs(
            name=rule.name,
            description=rule.why,
            access="Allow",
            direction="Inbound",
            protocol="Tcp",
            priority=FIRST_PRIORITY + STEP * place,
            source_port_range="*",
            # A single tag and several ranges are different properties.
            source_address_prefix=rule.sources[0] if len(rule.sources) == 1 else None,
            source_address_prefixes=list(rule.sources) if len(rule.sources) > 1 else None,
            destination_port_range=rule.ports,
            destination_address_prefix="VirtualNetwork",
        )
        for place, rule in enumerate(found)
    ]

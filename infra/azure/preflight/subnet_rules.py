"""Checks of the security group of a subnet that the stack is given. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from infra.azure.preflight import nsg
from infra.azure.preflight.nsg import Traffic
from infra.azure.settings import sizes
from infra.azure.settings.given import parts
from infra.preflight.finding import Finding

if TYPE_CHECKING:
    from infra.azure.arm import Document
    from infra.azure.settings.config import AzureConfig

HTTPS: Final = 443
SSH: Final = 22
AMONG_MACHINES: Final = (22, 443, 8020, 8088, 45454)
"""Ports that stand for all: machines talk to each other on more than any rule should list."""
OTHERS: Final = 65000
"""Priority of Azure's own rules, before which any may go."""


def wanted(config: AzureConfig) -> list[Traffic]:
    """Return the traffic that the group must admit."""
    found = []
    if config.resource_provider_connection == "inbound":
        tags = sizes.table().regions[config.region].service_tags
        found += [Traffic(f"HDInsight ({tag})", tag, (HTTPS,)) for tag in tags]
    if not config.private_link:
        found += [Traffic(f"{cidr} (adminCidrs)", str(cidr), (SSH, HTTPS)) for cidr in config.admin_cidrs]
    found.append(Traffic("the machines among themselves", nsg.WITHIN, AMONG_MACHINES))
    found.append(Traffic("load balancers' probes", nsg.BALANCER, (SSH, HTTPS)))
    return found


def findings(
    name: str, config: AzureConfig, group_id: str, group: Document, subnet: IPv4Network
) -> Iterator[Finding]:
    """Yield what a group denies, and what cannot be told."""
    properties = group.get("properties", {})
    rules = [*(properties.get("securityRules") or []), *(properties.get("defaultSecurityRules") or [])]
    answers = [(one, nsg.admits(rules, one, subnet)) for one in wanted(config)]
    group_name, taken = parts(group_id).name, list(rules)
    for traffic, answer in answers:
        if answer.access == "Deny":
            by = f"rule {answer.rule}" if answer.rule else "its default"
            said = f"{group_name} denies {traffic.words} {_ports(traffic)}, by {by}"
            priority = nsg.free_priority(taken, answer.priority or OTHERS)
            taken.append({"properties": {"direction": "Inbound", "priority": priority or 0}})
            yield Finding(name, "failed", said, _admit(group_id, traffic, priority))
        elif answer.access == "unknown":
            said = (
                f"{group_name}: whether {traffic.words} may come in {_ports(traffic)} depends on the "
                f"addresses in {', '.join(answer.unsure)}"
            )
            yield Finding(name, "note", said)
    blocking = nsg.denied_outbound(rules, HTTPS)
    if blocking:
        said = (
            f"{group_name}: rule {blocking} denies port {HTTPS} to the internet; other rules have to let "
            "through what HDInsight needs, which is not checked"
        )
        yield Finding(name, "note", said)
    if all(answer.access == "Allow" for _, answer in answers):
        yield Finding(name, "passed", f"{group_name} admits {', '.join(one.words for one, _ in answers)}")


def _ports(traffic: Traffic) -> str:
    if traffic.ports == AMONG_MACHINES:
        return "on all ports"
    return f"on port {', '.join(map(str, traffic.ports))}"


def _admit(group_id: str, traffic: Traffic, priority: int | None) -> str:
    """Return the sentence with the command that admits some traffic."""
    known = parts(group_id)
    label = "".join(char if char.isalnum() else "-" for char in traffic.source)
    ports = "'*'" if traffic.source == nsg.WITHIN else " ".join(map(str, traffic.ports))
    return (
        f"Let its owner run `az network nsg rule create --subscription {known.subscription} "
        f"--resource-group {known.group} --nsg-name {known.name} --name caffe-spark-{label} "
        f"--priority {priority or 'PRIORITY'} --direction Inbound --access Allow --protocol Tcp "
        f"--source-address-prefixes {traffic.source} --destination-port-ranges {ports}`."
    )

"""Checks of a subnet that the stack is given (`subnetId`): HDInsight accepts it, and machines fit in."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, Final

from infra.azure import network_plan
from infra.azure.arm import NETWORK
from infra.azure.preflight import subnet_rules
from infra.azure.preflight.cloud import Cloud
from infra.azure.preflight.given_read import read
from infra.azure.settings.given import parts
from infra.preflight.finding import CloudCheck, Finding

if TYPE_CHECKING:
    from infra.azure.arm import Document
    from infra.azure.settings.config import AzureConfig

NAME: Final = "subnet"
ADDRESSES: Final = "subnet: addresses"
GROUP: Final = "subnet: security group"
WAY_OUT: Final = "subnet: way out"
STORAGE: Final = "subnet: storage"
PRIVATE: Final = "subnet: Private Link"
EVERYWHERE: Final = "0.0.0.0/0"
ENDPOINT: Final = "Microsoft.Storage"


def checks(config: AzureConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the check; none in a network of the stack's own."""
    if config.subnet_id is None:
        return []
    subnet_id = config.subnet_id
    return [CloudCheck(NAME, lambda cloud: list(_findings(cloud, config, subnet_id, stack)))]


def update(subnet_id: str, *words: str) -> str:
    """Return the sentence with the command that changes the subnet, which is its owner's to run."""
    return f"Let its owner run `az network vnet subnet update --ids {subnet_id} {' '.join(words)}`."


def _findings(cloud: Cloud, config: AzureConfig, subnet_id: str, stack: str) -> Iterator[Finding]:
    fix = f"Run `pulumi config set subnetId ID --stack {stack}`."
    found = read(cloud, subnet_id, NETWORK, name=NAME, what="subnet", stack=stack, fix=fix)
    if isinstance(found, Finding):
        yield found
        return
    subnet = found.get("properties", {})
    area = network_range(subnet)
    if area is None:
        yield Finding(
            NAME, "failed", f"{parts(subnet_id).name} has no IPv4 range, which HDInsight needs", fix
        )
        return
    yield _place(cloud, config, subnet_id, subnet, stack)
    yield _addresses(cloud, config, area, subnet, stack)
    yield from _way_out(cloud, subnet_id, subnet, stack)
    if config.own_storage and config.admin_cidrs:
        yield _service_endpoint(subnet_id, subnet)
    if config.private_link:
        yield _private_link(subnet_id, subnet)
    group = str((subnet.get("networkSecurityGroup") or {}).get("id", ""))
    if not group:
        why = "it has no network security group, without which HDInsight's load balancers let nothing in"
        yield Finding(GROUP, "failed", why, update(subnet_id, "--network-security-group NSG"))
        return
    rules = read(cloud, group, NETWORK, name=GROUP, what="network security group", stack=stack)
    if isinstance(rules, Finding):
        yield rules
    else:
        yield from subnet_rules.findings(GROUP, config, group, rules, area)


def _place(cloud: Cloud, config: AzureConfig, subnet_id: str, subnet: Document, stack: str) -> Finding:
    name = parts(subnet_id).name
    owner = next(
        (one.get("properties", {}).get("serviceName", "") for one in subnet.get("delegations") or []), ""
    )
    other = f"Run `pulumi config set subnetId ID --stack {stack}` with another subnet."
    if owner:
        return Finding(NAME, "failed", f"{name} is delegated to {owner}, which has it for itself", other)
    network = read(
        cloud, parts(subnet_id).parent, NETWORK, name=NAME, what="virtual network", stack=stack, fix=other
    )
    if isinstance(network, Finding):
        return network
    there = str(network.get("location", "")).lower().replace(" ", "")
    if there != config.region:
        fix = f"Run `pulumi config set region {there} --stack {stack}`, or use a subnet in {config.region}."
        return Finding(
            NAME, "failed", f"{name} is in {there}, and the cluster would be in {config.region}", fix
        )
    return Finding(NAME, "passed", f"{name} in {network.get('name', 'its network')}, {there}; used as it is")


def network_range(subnet: Document) -> IPv4Network | None:
    """Return the range of a subnet, given its properties; None without one of IPv4."""
    prefixes = [subnet.get("addressPrefix"), *(subnet.get("addressPrefixes") or [])]
    return next((IPv4Network(one) for one in prefixes if one and ":" not in one), None)


def _addresses(cloud: Cloud, config: AzureConfig, area: IPv4Network, subnet: Document, stack: str) -> Finding:
    if cloud.cluster is not None:
        return Finding(ADDRESSES, "passed", "the cluster exists, and has its addresses")
    used = len(subnet.get("ipConfigurations") or [])
    free = area.num_addresses - network_plan.RESERVED - used
    needed = config.bounds[1] + network_plan.BESIDE_WORKERS
    said = (
        f"{area} has {free} free addresses, and {config.bounds[1]} workers need {needed} with all beside them"
    )
    if needed <= free:
        return Finding(ADDRESSES, "passed", said)
    fix = f"Run `pulumi config set subnetId ID --stack {stack}` with a larger subnet, or use fewer workers."
    return Finding(ADDRESSES, "failed", said, fix)


def _way_out(cloud: Cloud, subnet_id: str, subnet: Document, stack: str) -> Iterator[Finding]:
    """Check that machines reach Azure's services: https://learn.microsoft.com/azure/hdinsight/
    load-balancer-migration-guidelines (2025-03) and hdinsight-plan-virtual-network-deployment."""
    if subnet.get("natGateway"):
        yield Finding(WAY_OUT, "passed", "a NAT gateway")
        return
    fix = update(subnet_id, "--nat-gateway GATEWAY")
    table_id = str((subnet.get("routeTable") or {}).get("id", ""))
    if not table_id:
        why = (
            "it has neither a NAT gateway nor a route to a firewall, and HDInsight's load balancers give none"
        )
        yield Finding(WAY_OUT, "failed", why, fix)
        return
    table = read(cloud, table_id, NETWORK, name=WAY_OUT, what="route table", stack=stack)
    if isinstance(table, Finding):
        yield table
        return
    routes: list[Any] = table.get("properties", {}).get("routes") or []
    out = [
        one["properties"] for one in routes if one.get("properties", {}).get("addressPrefix") == EVERYWHERE
    ]
    kind = str(out[0].get("nextHopType", "")) if out else ""
    if kind == "VirtualAppliance":
        hop = out[0].get("nextHopIpAddress", "?")
        said = f"a firewall ({hop}): it has to let through what HDInsight needs, which is not checked"
        yield Finding(WAY_OUT, "note", said)
    elif kind == "VirtualNetworkGateway":
        why = (
            "its route table sends everything to a gateway, and HDInsight does not support forced tunnelling"
        )
        yield Finding(WAY_OUT, "failed", why, fix)
    else:
        why = "it has no NAT gateway, and its route table no way to a firewall"
        yield Finding(WAY_OUT, "failed", why, fix)


def _service_endpoint(subnet_id: str, subnet: Document) -> Finding:
    services = [str(one.get("service", "")) for one in subnet.get("serviceEndpoints") or []]
    if ENDPOINT in services:
        return Finding(STORAGE, "passed", f"it has the service endpoint {ENDPOINT}")
    why = f"it lacks the service endpoint {ENDPOINT}, without which the account's firewall cannot admit it"
    return Finding(
        STORAGE,
        "failed",
        why,
        update(subnet_id, "--service-endpoints", *dict.fromkeys([*services, ENDPOINT])),
    )


def _private_link(subnet_id: str, subnet: Document) -> Finding:
    if subnet.get("privateLinkServiceNetworkPolicies") == "Disabled":
        return Finding(PRIVATE, "passed", "network policies of Private Link services are off")
    why = "network policies of Private Link services are on, and HDInsight chooses addresses for its own"
    return Finding(
        PRIVATE, "failed", why, update(subnet_id, "--private-link-service-network-policies Disabled")
    )

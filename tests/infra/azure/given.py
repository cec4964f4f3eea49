"""A company's network, storage and identity, in the account on loopback and in a stack file."""

from __future__ import annotations

from typing import Any

from infra.azure.identity import BLOB_DATA_OWNER
from tests.cloud.arm import SUBSCRIPTION
from tests.cloud.azure_account import Account

PRINCIPAL = "principal-of-the-company"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/company"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{NETWORK}/virtualNetworks/corp"
SUBNET = f"{VNET}/subnets/hdinsight"
NSG = f"{NETWORK}/networkSecurityGroups/corp-nsg"
NAT = f"{NETWORK}/natGateways/corp-nat"
ROUTES = f"{NETWORK}/routeTables/corp-routes"
STORAGE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts"
ACCOUNT = f"{STORAGE}/corpdata"
LAKE = f"{STORAGE}/corplake"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/hdi-storage"
TAGS = ("HDInsight.WestEurope", "HDInsight.WestUS", "HDInsight.EastUS")


def rule(name: str, priority: int, source: str | list[str], port: str = "443", **more: Any) -> dict[str, Any]:
    """An inbound rule that allows, unless it says otherwise."""
    sources = (
        {"sourceAddressPrefix": source} if isinstance(source, str) else {"sourceAddressPrefixes": source}
    )
    properties = {
        "priority": priority,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "destinationAddressPrefix": "*",
        "destinationPortRange": port,
        **sources,
        **more,
    }
    return {"name": name, "properties": properties}


DEFAULTS = [
    rule("AllowVnetInBound", 65000, "VirtualNetwork", "*", destinationAddressPrefix="VirtualNetwork"),
    rule("AllowAzureLoadBalancerInBound", 65001, "AzureLoadBalancer", "*", protocol="*"),
    rule("DenyAllInBound", 65500, "*", "*", access="Deny", protocol="*"),
    rule("AllowInternetOutBound", 65001, "*", "*", direction="Outbound", destinationAddressPrefix="Internet"),
]
"""Azure's own."""
COMPANYS = [
    *(rule(tag.replace(".", "-"), 200 + place, tag) for place, tag in enumerate(TAGS)),
    rule("operators", 300, "198.18.0.0/16", destinationPortRanges=["22", "443"]),
]


def put(account: Account, id_: str, **properties: Any) -> dict[str, Any]:
    """A resource of the company's, with its tags and none of ours."""
    made: dict[str, Any] = {
        "id": id_,
        "name": id_.rpartition("/")[2],
        "type": "/".join(id_.split("/")[6:8]),
        "location": "westeurope",
        "tags": {"Owner": "network team"},
        "properties": properties,
    }
    account.resources[id_] = made
    return properties


def network(account: Account, *rules: dict[str, Any], **subnet: Any) -> dict[str, Any]:
    """A network that HDInsight accepts; returns the subnet's properties."""
    put(account, VNET)
    put(account, NSG, securityRules=list(rules or COMPANYS), defaultSecurityRules=DEFAULTS)
    return put(
        account,
        SUBNET,
        **{
            "addressPrefix": "10.9.8.0/24",
            "networkSecurityGroup": {"id": NSG},
            "natGateway": {"id": NAT},
            "serviceEndpoints": [{"service": "Microsoft.Storage"}],
            **subnet,
        },
    )


def storage(account: Account, id_: str = ACCOUNT, *containers: str, **properties: Any) -> dict[str, Any]:
    """A storage account that HDInsight accepts, with containers; returns its properties."""
    for container in containers or ("cluster", "artifacts"):
        put(account, f"{id_}/blobServices/default/containers/{container}", publicAccess="None")
    made = put(account, id_, **{"isHnsEnabled": False, **properties})
    account.resources[id_]["kind"] = "StorageV2"
    return made


def identity(account: Account, *, owner_of: str | None = ACCOUNT, at: str = "") -> None:
    """An identity, with its role on an account or a scope above it."""
    put(account, IDENTITY, principalId=PRINCIPAL)
    if owner_of:
        account.roles[owner_of] = [(PRINCIPAL, BLOB_DATA_OWNER, at or owner_of)]

"""Network of the stack: one subnet for the cluster's machines, with a security group and a NAT gateway.

HDInsight requires both in a custom subnet: its load balancers provide no outbound access.
https://learn.microsoft.com/azure/hdinsight/load-balancer-migration-guidelines
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import network

from infra.azure.network_plan import NetworkPlan
from infra.azure.security import Rule, arguments
from infra.azure.settings.given import parts


@dataclass(frozen=True)
class NetworkArgs:
    """`private_link`: enable Private Link on the subnet, and add a subnet for private endpoints."""

    group: pulumi.Input[str]
    region: str
    plan: NetworkPlan
    rules: Sequence[Rule]
    tags: Mapping[str, str]
    private_link: bool = False


@dataclass(frozen=True)
class FoundNetwork:
    """Everything that a cluster needs of its network; `endpoints_subnet_id` is for endpoints of the stack."""

    vnet_id: pulumi.Output[str]
    subnet_id: pulumi.Output[str]
    endpoints_subnet_id: pulumi.Output[str] | None
    ready: list[pulumi.Resource]

    @classmethod
    def own(cls, network: Network) -> FoundNetwork:
        """Return the stack's own network."""
        return cls(network.vnet_id, network.subnet_id, network.endpoints_subnet_id, [network])

    @classmethod
    def given(cls, subnet_id: str) -> FoundNetwork:
        """Return a subnet that the stack is given, of which it registers nothing.

        Private endpoints and their names are its owner's, too: a zone that the stack linked to the network
        would change how everything in it resolves names.
        """
        known = pulumi.Output.from_input
        return cls(known(parts(subnet_id).parent), known(subnet_id), None, [])


class Network(pulumi.ComponentResource):
    """Virtual network, subnet, security group, NAT gateway with a fixed address."""

    vnet_id: pulumi.Output[str]
    subnet_id: pulumi.Output[str]
    endpoints_subnet_id: pulumi.Output[str] | None
    """Only with Private Link."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("caffe-spark:azure:Network", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        firewall = network.NetworkSecurityGroup(
            f"{name}-firewall",
            resource_group_name=args.group,
            location=args.region,
            security_rules=arguments(args.rules),
            tags=args.tags,
            opts=self._child,
        )
        vnet = network.VirtualNetwork(
            f"{name}-vnet",
            resource_group_name=args.group,
            location=args.region,
            address_space=network.AddressSpaceArgs(address_prefixes=[str(args.plan.cidr)]),
            tags=args.tags,
            # Subnets are resources of their own; Azure lists them here as well.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["subnets"]),
        )
        nat = self._nat()
        nodes = network.Subnet(
            f"{name}-nodes",
            resource_group_name=args.group,
            virtual_network_name=vnet.name,
            address_prefix=str(args.plan.nodes),
            network_security_group=network.NetworkSecurityGroupArgs(id=firewall.id),
            nat_gateway=network.SubResourceArgs(id=nat.id),
            # Route to storage through Azure's network, so that the account's firewall can allow the subnet.
            service_endpoints=[network.ServiceEndpointPropertiesFormatArgs(service="Microsoft.Storage")],
            default_outbound_access=False,
            private_link_service_network_policies="Disabled" if args.private_link else "Enabled",
            opts=self._child,
        )
        self.vnet_id, self.subnet_id = vnet.id, nodes.id
        self.endpoints_subnet_id = self._endpoints(vnet, firewall, nodes) if args.private_link else None
        self.register_outputs({"vnet_id": self.vnet_id, "subnet_id": self.subnet_id})

    def _nat(self) -> network.NatGateway:
        address = network.PublicIPAddress(
            f"{self._name}-nat-address",
            resource_group_name=self._args.group,
            location=self._args.region,
            sku=network.PublicIPAddressSkuArgs(name="Standard", tier="Regional"),
            public_ip_allocation_method="Static",
            public_ip_address_version="IPv4",
            tags=self._args.tags,
            opts=self._child,
        )
        return network.NatGateway(
            f"{self._name}-nat",
            resource_group_name=self._args.group,
            location=self._args.region,
            sku=network.NatGatewaySkuArgs(name="Standard"),
            public_ip_addresses=[network.SubResourceArgs(id=address.id)],
            tags=self._args.tags,
            opts=self._child,
        )

    def _endpoints(
        self, vnet: network.VirtualNetwork, firewall: network.NetworkSecurityGroup, nodes: network.Subnet
    ) -> pulumi.Output[str]:
        """Create a subnet for private endpoints only."""
        return network.Subnet(
            f"{self._name}-endpoints",
            resource_group_name=self._args.group,
            virtual_network_name=vnet.name,
            address_prefix=str(self._args.plan.endpoints),
            network_security_group=network.NetworkSecurityGroupArgs(id=firewall.id),
            default_outbound_access=False,
            private_endpoint_network_policies="Enabled",
            # Azure refuses concurrent changes of one network.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[nodes]),
        ).id

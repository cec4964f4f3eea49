"""How operators reach a cluster that has no public endpoints: addresses of the stack's own network.

The cluster's public names lead to `privatelink.azurehdinsight.net`, which this zone answers within the
network, and within those that are peered with it and ask it.
https://learn.microsoft.com/azure/hdinsight/hdinsight-private-link

That page connects endpoints to the Private Link services that HDInsight makes beside its load balancers
(`gateway-*`, `headnode-*`), and writes the records by hand. Here it is Azure's general way: to the cluster
itself by group, with records by zone groups. Whether HDInsight takes it so was never seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native import network, privatedns

from infra.azure.names import CLUSTER_HOST

ZONE: Final = f"privatelink.{CLUSTER_HOST}"
PARTS: Final = ("gateway", "headnode")
"""Ambari, Livy and YARN's pages; SSH."""


@dataclass(frozen=True)
class PrivateLinkArgs:
    """`subnet_id`: of the endpoints, not of the machines."""

    group: pulumi.Input[str]
    region: str
    cluster_id: pulumi.Input[str]
    vnet_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    tags: Mapping[str, str]


class PrivateLink(pulumi.ComponentResource):
    """An endpoint for the gateway and one for the heads, and the names that lead to them."""

    def __init__(self, name: str, args: PrivateLinkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("caffe-spark:azure:PrivateLink", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        zone = privatedns.PrivateZone(
            f"{name}-zone",
            private_zone_name=ZONE,
            resource_group_name=args.group,
            # Zones are everywhere.
            location="Global",
            tags=args.tags,
            opts=child,
        )
        privatedns.VirtualNetworkLink(
            f"{name}-names",
            private_zone_name=zone.name,
            resource_group_name=args.group,
            location="Global",
            registration_enabled=False,
            virtual_network=privatedns.SubResourceArgs(id=args.vnet_id),
            tags=args.tags,
            opts=child,
        )
        for part in PARTS:
            endpoint = network.PrivateEndpoint(
                f"{name}-{part}",
                resource_group_name=args.group,
                location=args.region,
                subnet=network.SubnetArgs(id=args.subnet_id),
                private_link_service_connections=[
                    network.PrivateLinkServiceConnectionArgs(
                        name=part, group_ids=[part], private_link_service_id=args.cluster_id
                    )
                ],
                tags=args.tags,
                opts=child,
            )
            network.PrivateDnsZoneGroup(
                f"{name}-{part}-name",
                private_endpoint_name=endpoint.name,
                resource_group_name=args.group,
                private_dns_zone_configs=[
                    network.PrivateDnsZoneConfigArgs(name="hdinsight", private_dns_zone_id=zone.id)
                ],
                opts=child,
            )
        self.register_outputs({})

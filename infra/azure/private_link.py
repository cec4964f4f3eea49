"""Private endpoints of a cluster without public ones: addresses in the stack's own network.

The cluster's public names are aliases in `privatelink.azurehdinsight.net`, which this zone resolves within
the network, and in peered networks that use it.
https://learn.microsoft.com/azure/hdinsight/hdinsight-private-link

That page connects endpoints to the Private Link services that HDInsight creates beside its load balancers
(`gateway-*`, `headnode-*`), and creates the records by hand. This module uses Azure's general method:
endpoints to the cluster itself by group id, with records by zone groups. It has not been tried on a live
HDInsight cluster.
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
    """`subnet_id`: of the endpoints' subnet, not the machines'."""

    group: pulumi.Input[str]
    region: str
    cluster_id: pulumi.Input[str]
    vnet_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    tags: Mapping[str, str]


class PrivateLink(pulumi.ComponentResource):
    """Private endpoints of the gateway and the heads, and their DNS records."""

    def __init__(self, name: str, args: PrivateLinkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("caffe-spark:azure:PrivateLink", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        zone = privatedns.PrivateZone(
            f"{name}-zone",
            private_zone_name=ZONE,
            resource_group_name=args.group,
            # Private DNS zones are global.
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

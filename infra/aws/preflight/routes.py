"""Ways out of the subnets of a given network: their route tables and endpoints, as EC2 describes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import RouteTableTypeDef

Way = Literal["internet", "gateway", "none"]
"""An internet gateway, which serves public addresses alone; anything else (NAT, transit gateway, …)."""
ANYWHERE: Final = "0.0.0.0/0"
_INTERNET: Final = "igw-"


@dataclass(frozen=True)
class Table:
    """A route table, and the target of its default route."""

    id: str
    way: Way
    target: str = ""


@dataclass(frozen=True)
class Endpoint:
    """A VPC endpoint of an AWS service, e.g. `s3`."""

    id: str
    service: str
    gateway: bool
    tables: frozenset[str] = field(default_factory=frozenset)
    """Route tables of a gateway endpoint."""
    private_names: bool = False
    policy: str = ""
    groups: tuple[str, ...] = ()
    """Security groups of an interface endpoint."""


def tables_of(ec2: EC2Client, vpc: str, subnets: Sequence[str]) -> dict[str, Table]:
    """Return subnet → its route table; the VPC's main one for a subnet without its own."""
    found: dict[str, Table] = {}
    pages = ec2.get_paginator("describe_route_tables").paginate(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    main = Table("the main route table", "none")
    for page in pages:
        for one in page["RouteTables"]:
            table = _table(one)
            for association in one.get("Associations", []):
                if association.get("Main"):
                    main = table
                if subnet := association.get("SubnetId"):
                    found[subnet] = table
    return {subnet: found.get(subnet, main) for subnet in subnets}


def endpoints_of(ec2: EC2Client, vpc: str, region: str) -> list[Endpoint]:
    """Return the VPC's endpoints of AWS services in the region that can be used."""
    prefix, found = f"com.amazonaws.{region}.", []
    pages = ec2.get_paginator("describe_vpc_endpoints").paginate(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}]
    )
    for page in pages:
        for one in page["VpcEndpoints"]:
            service = one.get("ServiceName", "")
            if service.startswith(prefix) and one.get("State", "available").lower() == "available":
                found.append(
                    Endpoint(
                        one["VpcEndpointId"],
                        service.removeprefix(prefix),
                        one.get("VpcEndpointType") == "Gateway",
                        frozenset(one.get("RouteTableIds", ())),
                        one.get("PrivateDnsEnabled", False),
                        one.get("PolicyDocument") or "",
                        tuple(group["GroupId"] for group in one.get("Groups", ())),
                    )
                )
    return found


def _table(one: RouteTableTypeDef) -> Table:
    for route in one.get("Routes", []):
        if route.get("DestinationCidrBlock") == ANYWHERE and route.get("State", "active") == "active":
            target = _target(dict(route))
            return Table(
                one["RouteTableId"], "internet" if target.startswith(_INTERNET) else "gateway", target
            )
    return Table(one["RouteTableId"], "none")


def _target(route: dict[str, Any]) -> str:
    targets = (
        "GatewayId",
        "NatGatewayId",
        "TransitGatewayId",
        "NetworkInterfaceId",
        "LocalGatewayId",
        "VpcPeeringConnectionId",
    )
    return next((str(route[key]) for key in targets if route.get(key)), "another gateway")

"""Leftover network resources of a region."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from infra.aws.sweep.kinds import tags_of
from infra.aws.sweep.region import Finder, RegionSearch
from infra.sweep.leak import FREE, Leak, month
from infra.tags import STACK_TAG

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import NetworkInterfaceTypeDef

THERE: Final = "pending|available|deleting"
"""States, in any case, of an endpoint that still exists."""


def _nat_gateways(search: RegionSearch) -> Iterator[Leak]:
    pages = search.ec2.get_paginator("describe_nat_gateways").paginate(Filters=search.filters)
    for page in pages:
        for gateway in page["NatGateways"]:
            if gateway["State"] not in ("pending", "available"):
                continue
            id_, usd = gateway["NatGatewayId"], month(search.prices.services.nat_hour)
            ends = search.cli("ec2", "delete-nat-gateway", "--nat-gateway-id", id_)
            waits = search.cli("ec2", "wait", "nat-gateway-deleted", "--nat-gateway-ids", id_)
            tags = tags_of(gateway.get("Tags"))
            yield search.leak("NAT gateway", id_, tags, usd, f"{ends} && {waits}")


def _endpoints(search: RegionSearch) -> Iterator[Leak]:
    hour = search.prices.services.endpoint_hour
    pages = search.ec2.get_paginator("describe_vpc_endpoints").paginate(Filters=search.filters)
    for page in pages:
        for endpoint in page["VpcEndpoints"]:
            if endpoint.get("State", "").lower() in ("deleting", "deleted"):
                continue
            id_, tags = endpoint["VpcEndpointId"], tags_of(endpoint.get("Tags"))
            command = search.cli("ec2", "delete-vpc-endpoints", "--vpc-endpoint-ids", id_)
            usd: Decimal | None = FREE
            if endpoint.get("VpcEndpointType") == "Interface":
                usd = None if hour is None else month(hour * len(endpoint.get("SubnetIds", [])))
                # The CLI has no waiter for these, and their subnets cannot be deleted before them.
                asked = ("ec2", "describe-vpc-endpoints", "--vpc-endpoint-ids", id_, "--output", "text")
                states = f"{search.cli(*asked, '--query', 'VpcEndpoints[].State')} 2>/dev/null"
                command += f" && while {states} | grep -qiE '{THERE}'; do sleep 5; done"
            name = endpoint.get("ServiceName", "")
            yield search.leak("VPC endpoint", id_, tags, usd, command, name=name)


def _addresses(search: RegionSearch) -> Iterator[Leak]:
    usd = month(search.prices.services.ipv4_hour)
    for address in search.ec2.describe_addresses(Filters=search.filters)["Addresses"]:
        id_, tags = address["AllocationId"], tags_of(address.get("Tags"))
        command = search.cli("ec2", "release-address", "--allocation-id", id_)
        yield search.leak("elastic address", id_, tags, usd, command, name=address.get("PublicIp", ""))


def _vpcs(search: RegionSearch) -> Iterator[Leak]:
    pages = search.ec2.get_paginator("describe_vpcs").paginate(Filters=search.filters)
    for page in pages:
        for vpc in page["Vpcs"]:
            id_ = vpc["VpcId"]
            command = search.cli("ec2", "delete-vpc", "--vpc-id", id_)
            yield search.leak("VPC", id_, tags_of(vpc.get("Tags")), FREE, command)


def _interfaces(search: RegionSearch) -> Iterator[Leak]:
    """Find interfaces with the project's tags, and untagged ones in its VPCs, which would block their
    deletion."""
    asked = [search.filters]
    vpcs = search.seen.get("VPC", {})
    if vpcs:
        asked.append([{"Name": "vpc-id", "Values": sorted(vpcs)}])
    for filters in asked:
        pages = search.ec2.get_paginator("describe_network_interfaces").paginate(Filters=filters)
        for page in pages:
            for one in page["NetworkInterfaces"]:
                id_ = one["NetworkInterfaceId"]
                if not search.has("network interface", id_) and not _goes_with_another(search, one):
                    # An untagged interface belongs to the stack of its VPC.
                    tags = {STACK_TAG: vpcs.get(one.get("VpcId", ""), ""), **tags_of(one.get("TagSet"))}
                    command, name = _remove(search, one), one.get("Description", "")
                    yield search.leak("network interface", id_, tags, FREE, command, name=name)


def _goes_with_another(search: RegionSearch, one: NetworkInterfaceTypeDef) -> bool:
    """Return whether the interface is deleted with an instance that was found, or with its endpoint or
    gateway."""
    return one.get("RequesterManaged", False) or search.has(
        "instance", one.get("Attachment", {}).get("InstanceId")
    )


def _remove(search: RegionSearch, one: NetworkInterfaceTypeDef) -> str:
    id_, held = one["NetworkInterfaceId"], one.get("Attachment", {})
    delete = search.cli("ec2", "delete-network-interface", "--network-interface-id", id_)
    if "AttachmentId" not in held:
        return delete
    efa = one.get("InterfaceType", "").startswith("efa")
    if (efa or held.get("DeviceIndex") == 0) and "InstanceId" in held:
        # A primary interface, and one of EFA, cannot be detached: it is the instance that lost its tags.
        return search.cli("ec2", "terminate-instances", "--instance-ids", held["InstanceId"])
    detach = ("ec2", "detach-network-interface", "--force", "--attachment-id", held["AttachmentId"])
    return f"{search.cli(*detach)} && {delete}"


def _security_groups(search: RegionSearch) -> Iterator[Leak]:
    pages = search.ec2.get_paginator("describe_security_groups").paginate(Filters=search.filters)
    for page in pages:
        for group in page["SecurityGroups"]:
            id_, name = group["GroupId"], group["GroupName"]
            if name == "default":
                continue  # deleted with its VPC, not before
            command = search.cli("ec2", "delete-security-group", "--group-id", id_)
            tags, before = tags_of(group.get("Tags")), _revoke(search, id_)
            yield search.leak("security group", id_, tags, FREE, command, name=name, before=before)


def _revoke(search: RegionSearch, group: str) -> str:
    """Return commands that revoke rules with other groups, since a group that a rule refers to cannot be
    deleted."""
    pages = search.ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=[{"Name": "group-id", "Values": [group]}]
    )
    lines = []
    rules = [rule for page in pages for rule in page["SecurityGroupRules"] if "ReferencedGroupInfo" in rule]
    for verb, egress in (("ingress", False), ("egress", True)):
        ids = sorted(rule["SecurityGroupRuleId"] for rule in rules if rule["IsEgress"] == egress)
        if ids:
            words = ("ec2", f"revoke-security-group-{verb}", "--group-id", group)
            lines.append(search.cli(*words, "--security-group-rule-ids", *ids))
    return " && ".join(lines)


def _subnets(search: RegionSearch) -> Iterator[Leak]:
    pages = search.ec2.get_paginator("describe_subnets").paginate(Filters=search.filters)
    for page in pages:
        for subnet in page["Subnets"]:
            id_ = subnet["SubnetId"]
            command = search.cli("ec2", "delete-subnet", "--subnet-id", id_)
            yield search.leak("subnet", id_, tags_of(subnet.get("Tags")), FREE, command)


def _route_tables(search: RegionSearch) -> Iterator[Leak]:
    pages = search.ec2.get_paginator("describe_route_tables").paginate(Filters=search.filters)
    for page in pages:
        for table in page["RouteTables"]:
            if any(one.get("Main") for one in table.get("Associations", [])):
                continue  # deleted with its VPC, not before
            id_ = table["RouteTableId"]
            command = search.cli("ec2", "delete-route-table", "--route-table-id", id_)
            yield search.leak("route table", id_, tags_of(table.get("Tags")), FREE, command)


def _internet_gateways(search: RegionSearch) -> Iterator[Leak]:
    pages = search.ec2.get_paginator("describe_internet_gateways").paginate(Filters=search.filters)
    for page in pages:
        for gateway in page["InternetGateways"]:
            id_ = gateway["InternetGatewayId"]
            named = ("--internet-gateway-id", id_)
            steps = [
                search.cli("ec2", "detach-internet-gateway", *named, "--vpc-id", held["VpcId"])
                for held in gateway.get("Attachments", [])
            ]
            command = " && ".join([*steps, search.cli("ec2", "delete-internet-gateway", *named)])
            yield search.leak("internet gateway", id_, tags_of(gateway.get("Tags")), FREE, command)


def _placement_groups(search: RegionSearch) -> Iterator[Leak]:
    # Not in pages.
    for group in search.ec2.describe_placement_groups(Filters=search.filters)["PlacementGroups"]:
        if group.get("State") == "deleting":
            continue
        name, tags = group["GroupName"], tags_of(group.get("Tags"))
        command = search.cli("ec2", "delete-placement-group", "--group-name", name)
        yield search.leak("placement group", name, tags, FREE, command)


FINDERS: Final[dict[str, Finder]] = {
    "NAT gateway": _nat_gateways,
    "VPC endpoint": _endpoints,
    "elastic address": _addresses,
    "VPC": _vpcs,
    "network interface": _interfaces,
    "security group": _security_groups,
    "subnet": _subnets,
    "route table": _route_tables,
    "internet gateway": _internet_gateways,
    "placement group": _placement_groups,
}
"""VPCs come before the interfaces in them."""

"""Checks of a network that the company gives (`vpc`): what the machines need of it, from describe calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bootstrap.clouds import aws
from infra import tags
from infra.aws.existing import network as given
from infra.aws.network_plan import LOGS
from infra.aws.preflight.capacity import offerings
from infra.aws.preflight.cloud import Cloud
from infra.aws.preflight.reach import allowed_of, lets
from infra.aws.preflight.routes import Endpoint, Table, endpoints_of, tables_of
from infra.aws.preflight.storage import STORAGE, by_endpoint
from infra.preflight.finding import CloudCheck, Finding
from infra.settings.commands import rm_command, set_command

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig
    from infra.aws.settings.existing import Subnets

SITE: Final = "network: vpc"
TYPES: Final = "network: zones"
ROOM: Final = "network: room"
HEAD: Final = "network: head"
WORKERS: Final = "network: workers"
HTTPS: Final = (443, 443)
NEEDED: Final = ("autoscaling", "sts")
"""Services that workers call (lifecycle hooks, the jobs' role), beside S3; and with `cloudLogs` another."""

Look = Callable[[Cloud, "AwsConfig", "Subnets", str], Finding]


def checks(config: AwsConfig, stack: str) -> list[CloudCheck[Cloud]]:
    """Return the checks of a given network; none of the stack's own."""
    subnets = config.subnets
    if subnets is None:
        return []

    def check(name: str, look: Look) -> CloudCheck[Cloud]:
        def ask(cloud: Cloud) -> list[Finding]:
            with aws.translate_errors(f"looking at {config.vpc} (vpc)"):
                return [look(cloud, config, subnets, stack)]

        return CloudCheck(name, ask)

    return [
        check(SITE, _site),
        check(TYPES, _types),
        check(ROOM, _room),
        check(HEAD, _head),
        check(WORKERS, _workers),
        check(STORAGE, by_endpoint),
    ]


def _site(cloud: Cloud, config: AwsConfig, subnets: Subnets, stack: str) -> Finding:
    site = given.site(cloud.ec2, config, subnets, stack)
    where = f"the head is {site.head_address} in {site.head_zone}, workers in {', '.join(site.zones)}"
    return Finding(SITE, "passed", f"{config.vpc}: {where}")


def _types(cloud: Cloud, config: AwsConfig, subnets: Subnets, stack: str) -> Finding:
    found = given.described(cloud.ec2, subnets)
    zones = {one.zone for one in found.values()}
    names = list(dict.fromkeys((config.head_type, *config.instance_types)))
    offered = offerings(cloud, names, sorted(zones)) if zones else {}
    head = found.get(subnets.head)
    if head and head.zone not in offered[config.head_type]:
        return Finding(
            TYPES,
            "failed",
            f"{head.zone}, where {head.id} (subnets.head) is, does not offer {config.head_type} (headType)",
            f"Run `pulumi config set headType TYPE --stack {stack}`, or name another subnet.",
        )
    for place, one in enumerate(subnets.workers):
        zone = found[one].zone if one in found else ""
        if zone and not any(zone in offered[name] for name in config.instance_types):
            return Finding(
                TYPES,
                "failed",
                f"{zone}, where {one} (subnets.workers[{place}]) is, offers none of "
                f"{', '.join(config.instance_types)} (instanceTypes)",
                f"Run `{rm_command(f'subnets.workers[{place}]')} --stack {stack}`.",
            )
    there = sorted({found[one].zone for one in subnets.workers if one in found})
    return Finding(TYPES, "passed", f"{', '.join(there)} offer types of the stack")


def _room(cloud: Cloud, config: AwsConfig, subnets: Subnets, stack: str) -> Finding:
    found = given.described(cloud.ec2, subnets)
    ours = 0
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.cloud_tags(stack).items()]
    filters.append({"Name": "subnet-id", "Values": list(subnets.workers)})
    pages = cloud.ec2.get_paginator("describe_network_interfaces").paginate(Filters=filters)  # type: ignore[arg-type]
    for page in pages:
        # Those of further network cards (`efa`) have no address.
        ours += sum("PrivateIpAddress" in one for one in page["NetworkInterfaces"])
    room = ours + sum(found[one].free for one in subnets.workers if one in found)
    if room < config.max_workers:
        return Finding(
            ROOM,
            "failed",
            f"the workers' subnets have {room} free addresses, and maxWorkers is {config.max_workers}",
            f"Run `pulumi config set-all --plaintext maxWorkers={room} --plaintext "
            f"workers={min(room, config.workers)} --stack {stack}`, or name further subnets."
            if room
            else "Name further subnets in subnets.workers.",
        )
    return Finding(ROOM, "passed", f"{room} free addresses for at most {config.max_workers} workers")


def _head(cloud: Cloud, config: AwsConfig, subnets: Subnets, stack: str) -> Finding:
    table = tables_of(cloud.ec2, str(config.vpc), [subnets.head])[subnets.head]
    where = f"{subnets.head} (subnets.head)"
    if table.way == "none":
        return Finding(
            HEAD,
            "failed",
            f"{where} has no default route, and the head fetches sources and packages",
            f"Ask for one: `{_default_route(table, config)}`; or name another subnet.",
        )
    if table.way == "internet" and not config.head_public_address:
        return Finding(
            HEAD,
            "failed",
            f"{where} leads to the internet by {table.target}, which serves public addresses alone",
            f"Run `{set_command('headPublicAddress', 'true')} --stack {stack}`, or name a private subnet.",
        )
    if table.way == "gateway" and config.head_public_address:
        return Finding(
            HEAD,
            "failed",
            f"{where} leads out by {table.target}, and nothing would reach the head's public address",
            f"Run `{set_command('headPublicAddress', 'false')} --stack {stack}` (and name private ranges in "
            "adminCidrs, or none), or name a public subnet.",
        )
    return Finding(HEAD, "passed", f"leads out by {table.target}")


def _workers(cloud: Cloud, config: AwsConfig, subnets: Subnets, stack: str) -> Finding:
    found = tables_of(cloud.ec2, str(config.vpc), subnets.workers)
    there = given.described(cloud.ec2, subnets)
    for place, one in enumerate(subnets.workers):
        if found[one].way == "internet":
            public = one in there and there[one].public
            why = (
                "and gives each worker a public address, which is billed and not in the estimate"
                if public
                else "which serves public addresses alone, and workers get none"
            )
            return Finding(
                WORKERS,
                "note" if public else "failed",
                f"{one} (subnets.workers[{place}]) leads out by {found[one].target}, {why}",
                f"Name a private subnet: `{set_command(f'subnets.workers[{place}]', 'subnet-…')} "
                f"--stack {stack}`.",
            )
    closed = [one for one in subnets.workers if found[one].way == "none"]
    if not closed:
        return Finding(
            WORKERS, "passed", f"lead out by {', '.join(sorted({one.target for one in found.values()}))}"
        )
    if not config.package_proxy:
        return Finding(
            WORKERS,
            "failed",
            f"{', '.join(closed)} (subnets.workers) have no default route, and workers fetch packages",
            f"Run `{set_command('packageProxy', 'true')} --stack {stack}`: they come through the head then.",
        )
    endpoints = endpoints_of(cloud.ec2, str(config.vpc), config.region)
    named = {one.service for one in endpoints if not one.gateway and one.private_names}
    needed = (*NEEDED, LOGS) if config.cloud_logs else NEEDED
    missing = [service for service in needed if service not in named]
    if missing:
        return Finding(
            WORKERS,
            "failed",
            f"{', '.join(closed)} (subnets.workers) have no default route, and {config.vpc} has no interface "
            f"endpoint with private names for {', '.join(missing)}",
            f"Ask for each: `{_interface(config, missing[0], closed[0])}`.",
        )
    for endpoint in (one for one in endpoints if one.service in needed and not one.gateway):
        if not _admits(cloud, endpoint, config, subnets):
            return Finding(
                WORKERS,
                "failed",
                f"{endpoint.id} ({endpoint.service}) has groups that do not let TCP 443 in from "
                f"{', '.join(closed)} (subnets.workers)",
                f"Ask for it: `{_https(endpoint, config, there[closed[0]])}`.",
            )
    return Finding(WORKERS, "passed", f"reach {', '.join(needed)} by endpoints, packages through the head")


def _admits(cloud: Cloud, endpoint: Endpoint, config: AwsConfig, subnets: Subnets) -> bool:
    """Return whether an endpoint's groups let the workers in."""
    if not endpoint.groups:
        return True
    found = given.described(cloud.ec2, subnets)
    ranges = [found[one].cidr for one in subnets.workers if one in found]
    groups = config.security_groups.workers if config.security_groups else ()
    allowed = allowed_of(cloud.ec2, endpoint.groups)
    return lets(allowed, endpoint.groups, egress=False, ports=HTTPS, peers=[*groups, *ranges])


def _https(endpoint: Endpoint, config: AwsConfig, subnet: given.Subnet) -> str:
    return (
        f"aws ec2 authorize-security-group-ingress --group-id {endpoint.groups[0]} --protocol tcp "
        f"--port {HTTPS[0]} --cidr {subnet.cidr} --region {config.region}"
    )


def _default_route(table: Table, config: AwsConfig) -> str:
    return (
        f"aws ec2 create-route --route-table-id {table.id} --destination-cidr-block 0.0.0.0/0 "
        f"--nat-gateway-id nat-… --region {config.region}"
    )


def _interface(config: AwsConfig, service: str, subnet: str) -> str:
    return (
        f"aws ec2 create-vpc-endpoint --vpc-id {config.vpc} --vpc-endpoint-type Interface "
        f"--service-name com.amazonaws.{config.region}.{service} --subnet-ids {subnet} "
        f"--private-dns-enabled --region {config.region}"
    )

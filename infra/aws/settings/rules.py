"""Rules that combine settings of a stack on AWS, and their error messages. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from bootstrap.cluster import HDINSIGHT, NEWEST
from infra.aws import network_plan
from infra.aws.settings import existing, fallback, kms, machine_types, placement, regions, reservation
from infra.aws.settings.machine_types import no_twins
from infra.settings.commands import set_command
from infra.settings.network import Firewall
from infra.settings.refusal import Refusal, listed
from infra.settings.spark import too_old

if TYPE_CHECKING:
    from infra.aws.settings.config import AwsConfig

MAX_SOURCES: Final = 50
"""The head's group has other rules besides, and AWS's limit is 60:
https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html"""
WITHOUT_AGENT: Final = ("debian-12",)
"""Distributions whose images do not include the SSM agent:
https://docs.aws.amazon.com/systems-manager/latest/userguide/ami-preinstalled-agent.html"""
FIREWALL: Final = Firewall(
    cloud="AWS",
    network="the VPC",
    max_ranges=MAX_SOURCES,
    limit="a security group allows 60 rules at most",
    otherwise=", or none: SSH then goes through Session Manager",
)


def check(config: AwsConfig) -> None:
    """Raise the first `Refusal`, in the order of the stack file."""
    existing.check_network(config)
    existing.check_identity(config)
    _zones(config)
    FIREWALL.check(config.admin_cidrs, None if config.vpc else config.cidr)
    machine_types.check(config)
    _distribution(config)
    _counts(config)
    reservation.check(config)
    placement.check(config)
    fallback.check(config)
    _rebalancing(config)
    _keys(config)
    kms.check(config)
    _idle(config)
    _scaling(config)


def _zones(config: AwsConfig) -> None:
    zones = regions.table().regions[config.region].zones
    if not config.zones:
        raise Refusal(
            "zones", "[]", f"it is empty; valid: {listed(zones)}", set_command("zones[0]", zones[0])
        )
    for place, zone in enumerate(config.zones):
        if zone not in zones:
            spare = [valid for valid in zones if valid not in config.zones] or zones
            why = f"{config.region} has no such zone with the table's types; valid: {listed(zones)}"
            raise Refusal(f"zones[{place}]", zone, why, set_command(f"zones[{place}]", spare[0]))
    no_twins("zones", config.zones)


def _distribution(config: AwsConfig) -> None:
    def run_spark(names: Iterable[str]) -> list[str]:
        return [name for name in names if config.spark != NEWEST or not too_old(name)]

    users = regions.table().users
    if not run_spark([config.distribution]):
        why = (
            f"{too_old(config.distribution)}; valid: {listed(run_spark(users))}, or spark {HDINSIGHT} with it"
        )
        raise Refusal("distribution", config.distribution, why, set_command("spark", HDINSIGHT))

    images = regions.table().images["gpu"]
    if config.gpus and config.distribution not in images:
        kinds = listed(kind.name for kind in config.types)
        valid = run_spark(images)
        why = (
            f"no image of it has NVIDIA's driver, which {kinds} (instanceTypes) need, and head and workers "
            f"are of one distribution; valid: {listed(valid)}, or types without GPUs"
        )
        raise Refusal("distribution", config.distribution, why, set_command("distribution", valid[0]))

    if config.distribution in WITHOUT_AGENT and not config.admin_cidrs:
        others = [name for name in run_spark(users) if name not in WITHOUT_AGENT]
        why = (
            "its images have no SSM agent, and without adminCidrs SSH needs Session Manager; "
            f"valid: {listed(others)}, or adminCidrs"
        )
        raise Refusal("distribution", config.distribution, why, set_command("distribution", others[0]))


def _counts(config: AwsConfig) -> None:
    low, wanted, high = config.min_workers, config.workers, config.max_workers
    if low > wanted:
        why = f"that is more than workers ({wanted}); valid: 0 to {wanted}"
        raise Refusal("minWorkers", low, why, set_command("minWorkers", 0))
    if high < wanted:
        why = f"that is less than workers ({wanted}); valid: {wanted} and more"
        raise Refusal("maxWorkers", high, why, set_command("maxWorkers", 2 * wanted))
    if config.on_demand_base > high:
        why = f"that is more than maxWorkers ({high}); valid: 0 to {high}"
        raise Refusal("onDemandBase", config.on_demand_base, why, set_command("onDemandBase", 0))
    if config.vpc:
        return  # `fab preflight` counts the free addresses of the given subnets
    named = network_plan.endpoints(logs=config.cloud_logs is not None)
    taken = len(named) if config.egress == "endpoints" else 0
    capacity = network_plan.plan(config.cidr, config.zones).capacity - taken
    if high > capacity:
        why = (
            f"private subnets in {listed(config.zones)} have room for {capacity} workers, not for {high} "
            "(maxWorkers); valid: a larger range, up to /16"
        )
        raise Refusal("cidr", config.cidr, why, set_command("cidr", "10.40.0.0/16"))


def _rebalancing(config: AwsConfig) -> None:
    if config.rebalance_notice and not config.capacity_rebalance:
        why = (
            "training would leave a worker that the group does not replace (capacityRebalance: false); "
            "valid: false, or capacityRebalance: true with it"
        )
        raise Refusal("rebalanceNotice", "true", why, set_command("rebalanceNotice", "false"))


def _keys(config: AwsConfig) -> None:
    name, file = config.key_pair, config.private_key_file
    if name and not file:
        why = "privateKeyFile is missing; valid: both keyPair and privateKeyFile, or neither"
        raise Refusal("keyPair", name, why, set_command("privateKeyFile", "~/.ssh/KEY.pem"))
    if file and not name:
        why = f"keyPair of {config.region} is missing; valid: both keyPair and privateKeyFile, or neither"
        raise Refusal("privateKeyFile", file, why, set_command("keyPair", "NAME"))


def _idle(config: AwsConfig) -> None:
    if config.idle_stop_head and config.idle_stop is None:
        why = "idleStop is missing; valid: both, or idleStop alone, which stops workers"
        raise Refusal("idleStopHead", "true", why, set_command("idleStop", '"30 min"'))


def _scaling(config: AwsConfig) -> None:
    if not config.scale_to_queue:
        return
    if config.idle_stop is None:
        why = "idleStop is missing, after which the group shrinks again; valid: both, or neither"
        raise Refusal("scaleToQueue", "true", why, set_command("idleStop", '"30 min"'))
    if config.idle_stop_head and config.min_workers:
        why = f"the head stops after the last worker, and minWorkers ({config.min_workers}) stay; valid: 0"
        raise Refusal("minWorkers", config.min_workers, why, set_command("minWorkers", 0))

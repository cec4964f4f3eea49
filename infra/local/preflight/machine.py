"""Checks of this machine before a stack's first resource is registered."""

from __future__ import annotations

import os
import shutil
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from bootstrap.errors import ConfigError, StackError
from infra import tags
from infra.local.engine import Engine, find_engine
from infra.local.engine_output import Network
from infra.local.settings.config import LocalConfig

NEEDED_DISK_GB: Final = 10.0
"""For base image, JDK, Hadoop, pyspark and Caffe's build dependencies on three nodes, and for jobs."""
ROUTES: Final = Path("/proc/net/route")
GB: Final = 10**9
MB: Final = 2**20


def check(config: LocalConfig, stack: str, labels: dict[str, str]) -> Engine:
    """Check that this machine can run the stack, and return its engine.

    Raises:
        ConfigError: no engine, more CPUs or memory than this machine has, or a subnet in use.
        StackError: too little disk space for what is still to be created.
    """
    engine = find_engine(config.engine, stack)
    _check_size(config, stack)
    networks = engine.networks()
    check_subnet(config.subnet, stack, labels, networks, routes())
    there = set(engine.containers(labels))
    names = [tags.HEAD, *tags.worker_names(config.workers)]
    if not there.issuperset(tags.full_name(stack, name) for name in names):
        _check_disk(engine.storage())
    return engine


def check_subnet(
    subnet: IPv4Network,
    stack: str,
    labels: dict[str, str],
    networks: Iterable[Network],
    taken: Iterable[tuple[str, IPv4Network]],
) -> None:
    """Refuse a subnet that overlaps another network of the engine or a route of this machine. Pure.

    Raises:
        ConfigError: it overlaps; the error names a free subnet.
    """
    networks = list(networks)
    ours = [network for network in networks if tags.is_ours(dict(network.labels), labels)]
    bridges = {network.interface for network in ours}
    uses = [
        *((f"the network {n.name}", used) for n in networks if n not in ours for used in n.subnets),
        *((f"a route through {interface}", used) for interface, used in taken if interface not in bridges),
    ]
    for user, used in uses:
        if subnet.overlaps(used):
            free = next(
                (
                    candidate
                    for third in range(77, 250)
                    for candidate in (
                        IPv4Network(f"10.89.{third}.0/24"),
                        IPv4Network(f"192.168.{third}.0/24"),
                    )
                    if not any(candidate.overlaps(other) for _, other in uses)
                ),
                "…",
            )
            raise ConfigError(
                f"subnet: {subnet}",
                f"{user} uses {used}",
                f"Run `pulumi config set subnet {free} --stack {stack}`.",
            )


def routes(table: Path = ROUTES) -> list[tuple[str, IPv4Network]]:
    """Return this machine's IPv4 routes, except the default one, as (interface, destination)."""
    found = []
    for line in table.read_text().splitlines()[1:]:
        interface, destination, _, _, _, _, _, mask = line.split()[:8]
        if int(mask, 16):
            network = IPv4Network(f"{_dotted(destination)}/{_dotted(mask)}", strict=False)
            found.append((interface, network))
    return found


def _dotted(little_endian_hex: str) -> str:
    return socket.inet_ntoa(struct.pack("<L", int(little_endian_hex, 16)))


def _check_size(config: LocalConfig, stack: str) -> None:
    cpus = os.cpu_count() or 1
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MB
    if config.vcpu > cpus:
        raise ConfigError(
            f"vcpu: {config.vcpu}",
            f"this machine has {cpus}",
            f"Run `pulumi config set vcpu {cpus} --stack {stack}`.",
        )
    if config.memory_mb > memory_mb:
        raise ConfigError(
            f"memoryMb: {config.memory_mb}",
            f"this machine has {memory_mb} MB",
            f"Run `pulumi config set memoryMb {max(memory_mb // 4, 2048)} --stack {stack}`.",
        )


def _check_disk(storage: str) -> None:
    folder = Path(storage)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / GB
    if free < NEEDED_DISK_GB:
        raise StackError(
            f"{storage}: {free:.1f} GB free",
            f"nodes and what they build need {NEEDED_DISK_GB:.0f} GB",
            "Free some disk (`df -h` shows what is full), then rerun the command.",
        )

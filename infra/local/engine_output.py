"""Networks and containers, parsed from the output of podman and docker. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_network
from typing import Any


@dataclass(frozen=True)
class Network:
    """A network of the engine."""

    name: str
    subnets: tuple[IPv4Network, ...] = ()
    interface: str = ""
    """Name of the bridge on this machine."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """A container, running or not."""

    id: str
    name: str
    running: bool
    labels: Mapping[str, str]
    pid: int = 0
    """First process, as this machine numbers it; 0 if the container does not run."""
    cgroup_parent: str = ""
    """Control group above the container's, if a flag names one."""


def podman_network(entry: Mapping[str, Any]) -> Network:
    """Parse an entry of `podman network ls`."""
    return Network(
        name=entry["name"],
        subnets=_ipv4([subnet.get("subnet") for subnet in entry.get("subnets") or []]),
        interface=entry.get("network_interface", ""),
        labels=entry.get("labels") or {},
    )


def docker_network(entry: Mapping[str, Any]) -> Network:
    """Parse an entry of `docker network inspect`."""
    options = entry.get("Options") or {}
    return Network(
        name=entry["Name"],
        subnets=_ipv4([ipam.get("Subnet") for ipam in (entry.get("IPAM") or {}).get("Config") or []]),
        interface=options.get("com.docker.network.bridge.name", f"br-{entry['Id'][:12]}"),
        labels=entry.get("Labels") or {},
    )


def _ipv4(texts: Sequence[str | None]) -> tuple[IPv4Network, ...]:
    networks = (ip_network(text, strict=False) for text in texts if text)
    return tuple(network for network in networks if isinstance(network, IPv4Network))


def container(entry: Mapping[str, Any]) -> Container:
    """Parse an entry of `container inspect`."""
    return Container(
        id=entry["Id"],
        name=entry["Name"].lstrip("/"),
        running=bool(entry["State"]["Running"]),
        labels=entry["Config"].get("Labels") or {},
        pid=int(entry["State"].get("Pid") or 0),
        cgroup_parent=(entry.get("HostConfig") or {}).get("CgroupParent") or "",
    )

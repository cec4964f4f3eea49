"""Specification of a node, and what the engine is given to create it. Pure but for the time in an archive."""

from __future__ import annotations

import io
import tarfile
import time
from dataclasses import dataclass, fields
from ipaddress import IPv4Address
from typing import Final

from infra.local import probe
from infra.provider import Props

USER: Final = "ops"
"""Account of the operator, created by setup-node.sh."""


@dataclass(frozen=True)
class NodeSpec:
    """Everything that a node is created from, known in advance."""

    engine: str
    container: str
    """Name of the container."""
    hostname: str
    address: str
    network: str
    image: str
    vcpu: int
    memory_mb: int
    host_private_key: str
    host_public_key: str
    authorized_key: str
    labels: dict[str, str]

    @classmethod
    def of(cls, props: Props) -> NodeSpec:
        """Read the specification from a resource's properties, where every number is a float."""
        values = {field.name: props[field.name] for field in fields(cls)}
        return cls(**{**values, "vcpu": int(values["vcpu"]), "memory_mb": int(values["memory_mb"])})


def mac_address(address: str) -> str:
    """Derive a locally administered MAC address from the IPv4 address.

    A replaced node keeps it: otherwise this machine and the other nodes would use the old node's address for
    a minute.
    """
    return ":".join(["02", "ca", *(f"{byte:02x}" for byte in IPv4Address(address).packed)])


def limit_arguments(vcpu: int, memory_mb: int) -> tuple[str, ...]:
    """Return flags that limit a node's CPUs and memory, without swap."""
    return (f"--cpus={vcpu}", f"--memory={memory_mb}m", f"--memory-swap={memory_mb}m")


def create_arguments(spec: NodeSpec, boot: tuple[str, ...], found: probe.Findings) -> list[str]:
    """Return the engine's `create` command for a node. Pure."""
    return [
        "create",
        f"--name={spec.container}",
        f"--hostname={spec.hostname}",
        f"--network={spec.network}",
        # The engine's name server knows the containers' names; nodes know each other by host name.
        f"--network-alias={spec.hostname}",
        f"--ip={spec.address}",
        f"--mac-address={mac_address(spec.address)}",
        *(f"--label={key}={value}" for key, value in spec.labels.items()),
        *boot,
        *found.arguments,
        *(limit_arguments(spec.vcpu, spec.memory_mb) if found.limits else ()),
        spec.image,
        "/sbin/init",
    ]


def identity(spec: NodeSpec) -> bytes:
    """Return a tar archive, to be unpacked at / before the first boot: host name, host keys, authorized
    key."""
    files = {
        # Roles add the other nodes; without its own name sudo complains and Java does not start.
        "etc/hosts": (f"127.0.0.1 localhost\n::1 localhost\n{spec.address} {spec.hostname}\n", 0o644),
        "etc/ssh/ssh_host_ed25519_key": (spec.host_private_key, 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": (spec.host_public_key + "\n", 0o644),
        f"etc/ssh/authorized_keys/{USER}": (spec.authorized_key + "\n", 0o644),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (text, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(text.encode()), mode, int(time.time())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()

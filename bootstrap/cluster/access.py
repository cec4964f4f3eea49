"""Nodes, SSH access to them, and the resources that workers offer to Spark.

Names, addresses and host keys come from reports that machines write, and go into paths, shell scripts and
known_hosts: each has a strict pattern.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from bootstrap.model import Model

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HostName = Annotated[str, Field(pattern=rf"^{_LABEL}(\.{_LABEL})*$", max_length=253)]
"""A host name by RFC 1123, section 2.1."""


def _host_key(text: str) -> str:
    # Imported here: most commands read no document.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        # Compares the type in front with the one inside, and takes no other length than that type's.
        load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"it is not a valid {text.split(maxsplit=1)[0]} public key: {error}") from error
    return text


HostKey = Annotated[
    str,
    Field(
        pattern=r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}$", max_length=1500
    ),
    AfterValidator(_host_key),
]
"""OpenSSH public key line without comment, e.g. `ssh-ed25519 AAAA…`."""


def _address(text: str) -> str:
    return str(IPv4Address(text))


Address = Annotated[str, AfterValidator(_address)]
"""An IPv4 address, e.g. `10.40.0.10`."""


class DeclaredNode(Model):
    """A node as the stack declares it; its host key may be unknown until the node reports it."""

    name: HostName
    """Host name inside the cluster."""
    address: HostName
    """An IPv4 address, or the host name of a cloud's SSH endpoint."""
    ssh_target: HostName | Literal[""] = ""
    """SSH target if not the address: a public address, or an instance id for a proxy command."""
    instance: str = ""
    """The cloud's instance id; empty for nodes without one."""


class Node(DeclaredNode):
    """A node with a known host key, which SSH verifies."""

    host_key: HostKey


class SshAccess(Model):
    """SSH login of the operator. The user is root or has password-less sudo."""

    user: str
    private_key: SecretStr | None = None
    """OpenSSH PEM text; a secret of the stack, never written to disk."""
    private_key_file: str | None = None
    """Path of the operator's own private key; set instead of `private_key`."""
    port: int = 22
    proxy_command: str | None = None
    """Command on the operator's machine that connects to the head; `%h` is the target, `%p` the port."""
    jump: bool = False
    """Connect to workers through the head."""

    @model_validator(mode="after")
    def _one_key(self) -> SshAccess:
        if (self.private_key is None) == (self.private_key_file is None):
            raise ValueError("exactly one of private_key, private_key_file")
        return self


class WorkerShape(Model):
    """Resources of one worker that Spark may hand out."""

    cores: int = Field(ge=1)
    memory_mb: int = Field(ge=512)
    gpus: int = Field(ge=0, default=0)
    compute_capabilities: tuple[str, ...] = ()
    """Compute capabilities of the GPUs, e.g. `("7.5", "8.6")`; the framework is compiled for these."""
    instance_store: bool = False
    """A worker may have disks of its machine's own, which Spark's scratch folders are on."""
    efa: int = Field(ge=0, default=0)
    """Number of its interfaces to Elastic Fabric Adapter, which NCCL has to use; 0 without."""
    cpu_training: bool = False
    """Workers with GPUs may train on their CPUs, while their GPUs are billed and stay idle."""

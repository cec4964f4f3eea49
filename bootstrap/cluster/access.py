"""Nodes, SSH access to them, and the resources that workers offer to Spark."""

from __future__ import annotations

from pydantic import Field, SecretStr, model_validator

from bootstrap.model import Model


class DeclaredNode(Model):
    """A node as the stack declares it; its host key may be unknown until the node reports it."""

    name: str
    """Host name inside the cluster."""
    address: str
    ssh_target: str = ""
    """SSH target if not the address: a public address, or an instance id for a proxy command."""
    instance: str = ""
    """The cloud's instance id; empty for nodes without one."""


class Node(DeclaredNode):
    """A node with a known host key, which SSH verifies."""

    host_key: str = Field(min_length=1)
    """OpenSSH public key line without comment, e.g. `ssh-ed25519 AAAA…`."""


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

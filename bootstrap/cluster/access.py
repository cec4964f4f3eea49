"""Machines, the way to log in to them, and the resources that workers offer to Spark."""

from __future__ import annotations

from pydantic import Field, SecretStr, model_validator

from bootstrap.model import Model


class DeclaredNode(Model):
    """A machine as the stack declares it; its host key may not be known yet."""

    name: str
    """Host name inside the cluster."""
    address: str
    ssh_target: str = ""
    """Target of SSH where that is not the address: a public address, or an instance's id for a proxy."""
    instance: str = ""
    """The cloud's id of the machine, where it has one."""


class Node(DeclaredNode):
    """A machine that SSH can verify."""

    host_key: str = Field(min_length=1)
    """OpenSSH public key line without comment, e.g. `ssh-ed25519 AAAA…`."""


class SshAccess(Model):
    """Login of the operator. The user has password-less sudo or is root."""

    user: str
    private_key: SecretStr | None = None
    """OpenSSH PEM text; a secret of the stack, never written to disk by us."""
    private_key_file: str | None = None
    """Or a file of the operator's, where the key pair is theirs."""
    port: int = 22
    proxy_command: str | None = None
    """Run on the operator's machine to reach the head, with `%h` (the target) and `%p` (the port)."""
    jump: bool = False
    """Workers are reached through the head."""

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
    """Of the GPUs that a worker may have, e.g. `("7.5", "8.6")`: what the framework is compiled for."""

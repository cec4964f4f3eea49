"""The contract between a stack and everything that uses it: the `cluster` output, version 1.

`infra` writes this document, `fab` reads it from the stack's outputs and from nowhere else. Provider ids
stay in infra; what is here is what provisioning and jobs need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from bootstrap.errors import StackError

VERSION: Final = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Node(_Frozen):
    """A machine: its host name inside the cluster, where SSH reaches it, and who it must prove to be."""

    name: str
    address: str
    host_key: str
    """OpenSSH public key line without comment, e.g. `ssh-ed25519 AAAA…`."""


class SshAccess(_Frozen):
    """How the operator logs in. The user has password-less sudo or is root."""

    user: str
    private_key: SecretStr
    """OpenSSH PEM text; a secret of the stack, never written to disk by us."""
    port: int = 22


class WorkerShape(_Frozen):
    """What one worker offers to Spark."""

    cores: int = Field(ge=1)
    memory_mb: int = Field(ge=512)
    gpus: int = Field(ge=0, default=0)


class Cluster(_Frozen):
    """A cluster as provisioning and jobs see it."""

    version: Literal[1] = VERSION
    stack: str
    provider: Literal["local", "aws", "azure"]
    head: Node
    workers: tuple[Node, ...] = Field(min_length=1)
    ssh: SshAccess
    spark_master: str
    """e.g. `spark://head:7077`."""
    spark_secret: SecretStr
    """Shared secret of spark.authenticate, generated with the stack."""
    shared_storage: str
    """URI without trailing slash, e.g. `hdfs://head:9000`."""
    worker: WorkerShape

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Head first, then the workers in the stack's order."""
        return (self.head, *self.workers)

    def node(self, name: str) -> Node:
        """The node of that name.

        Raises:
            StackError: the cluster has no such node.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(n.name for n in self.nodes)
        raise StackError(f"node {name!r}", f"stack {self.stack!r} has {names}", "Name one of these.")

    @classmethod
    def from_outputs(cls, stack: str, outputs: Mapping[str, Any]) -> Cluster:
        """Read the cluster from `pulumi stack output --json --show-secrets`.

        Raises:
            StackError: there is no `cluster` output, or its version or shape is not this one's.
        """
        up = f"Run `pulumi up --stack {stack}`."
        if "cluster" not in outputs:
            exported = ", ".join(sorted(outputs)) or "nothing"
            raise StackError(f"stack {stack!r}", f"it has no output `cluster` (it exports: {exported})", up)
        document = outputs["cluster"]
        if isinstance(document, str):
            document = json.loads(document)
        if not isinstance(document, dict) or document.get("version") != VERSION:
            found = document.get("version") if isinstance(document, dict) else type(document).__name__
            raise StackError(
                f"stack {stack!r}",
                f"its `cluster` output has version {found}, this project reads {VERSION}",
                up,
            )
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            # Not `from error`: pydantic's text quotes the input, and that holds the private key.
            raise StackError(
                f"stack {stack!r}", f"its `cluster` output is not valid at {where}: {first['msg']}", up
            ) from None

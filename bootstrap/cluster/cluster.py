"""The contract between a stack and everything that uses it: the `cluster` output, version 1.

`infra` writes this document, `fab` reads it from the stack's outputs and from nowhere else. Provider ids
stay in infra; what is here is what provisioning and jobs need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from bootstrap.errors import StackError

VERSION: Final = 1
OPTIONAL_ROLES: Final = frozenset(
    {
        "packages_proxy",
        "common",
        "hadoop",
        "hdfs",
        "blob_server",
        "storage",
        "spark",
        "spark_standalone",
        "yarn",
        "hdinsight",
    }
)
"""Roles that only some clusters have; see `Cluster.roles`."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Node(_Frozen):
    """A machine: its host name inside the cluster, where SSH reaches it, and who it must prove to be."""

    name: str
    address: str
    host_key: str
    """OpenSSH public key line without comment, e.g. `ssh-ed25519 AAAA…`; empty until the machine has reported
    it (see `bootstrap.discover`)."""
    ssh_target: str = ""
    """What SSH asks for where that is not the address: a public one, or an instance's id for a proxy."""
    instance: str = ""
    """The cloud's id of the machine, where it has one."""


class SshAccess(_Frozen):
    """How the operator logs in. The user has password-less sudo or is root."""

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


class WorkerShape(_Frozen):
    """What one worker offers to Spark."""

    cores: int = Field(ge=1)
    memory_mb: int = Field(ge=512)
    gpus: int = Field(ge=0, default=0)
    compute_capabilities: tuple[str, ...] = ()
    """Of the GPUs that a worker may have, e.g. `("7.5", "8.6")`: what the framework is compiled for."""


class S3Access(_Frozen):
    """How nodes reach the object storage behind an `s3a://` URI."""

    region: str = "us-east-1"
    endpoint: str | None = None
    """URL of a server that is not AWS's own; its buckets are then part of the path, not of the host name."""
    access_key: str | None = None
    secret_key: SecretStr | None = None
    """Both, or neither: then each machine uses the role that its cloud gave it."""

    @model_validator(mode="after")
    def _a_pair(self) -> S3Access:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key belong together")
        return self


class BlobAccess(_Frozen):
    """How nodes reach the Azure storage account behind a `wasb://` or `wasbs://` URI."""

    account: str
    """The account's name, the first word of its host name."""
    key: SecretStr | None = None
    """The account's key; none: the machines have their own way in (HDInsight writes it on them)."""
    server: str = ""
    """Address of a server that is not Azure's own; nodes then know the account's host name by it."""

    @property
    def host(self) -> str:
        """The account's host name, as URIs have it."""
        return f"{self.account}.blob.core.windows.net"


class Yarn(_Frozen):
    """Where YARN's ResourceManager answers, and the largest containers that it gives."""

    resource_manager: str
    """URL of its web service, as nodes reach it: `http://head:8088`."""
    container_memory_mb: int = Field(ge=512)
    container_cores: int = Field(ge=1)
    step_mb: int = Field(default=1, ge=1)
    """Containers are multiples of it: YARN rounds up."""


class HdInsight(_Frozen):
    """An HDInsight cluster: what Azure's management interface knows it by."""

    subscription: str
    resource_group: str
    name: str
    region: str
    artifacts: str
    """URI of the container that script actions lie in: `wasbs://artifacts@account.blob.core.windows.net`."""
    workers: int = Field(ge=1)
    """As declared; with autoscale there may be others."""
    gateway: str = ""
    """URL of its pages and of Livy: `https://NAME.azurehdinsight.net`."""
    gateway_user: str = ""
    gateway_password: SecretStr | None = None


class WorkerGroup(_Frozen):
    """An EC2 Auto Scaling group: workers come and go, so the stack's document cannot name them."""

    name: str
    region: str
    desired: int = Field(ge=0)


class Cluster(_Frozen):
    """A cluster as provisioning and jobs see it."""

    version: Literal[1] = VERSION
    stack: str
    provider: Literal["local", "aws", "azure"]
    head: Node
    workers: tuple[Node, ...]
    """Those of a worker group, or of HDInsight, are filled in by `bootstrap.discover`."""
    worker_group: WorkerGroup | None = None
    hdinsight: HdInsight | None = None
    ssh: SshAccess
    spark_master: str
    """`spark://head:7077`, or `yarn`."""
    spark_secret: SecretStr
    """Shared secret of spark.authenticate, generated with the stack."""
    shared_storage: str
    """URI without trailing slash: `hdfs://head:9000`, `s3a://bucket`, or
    `wasb[s]://container@account.blob.core.windows.net`."""
    s3: S3Access | None = None
    blob: BlobAccess | None = None
    yarn: Yarn | None = None
    worker: WorkerShape
    package_proxy: bool = False
    """Workers have no way out to the distribution's mirrors; the head has one for them."""

    @model_validator(mode="after")
    def _whole(self) -> Cluster:
        if self.worker_group is None and self.hdinsight is None and not self.workers:
            raise ValueError("workers: there is none, and no worker_group")
        if (self.s3 is not None) != self.shared_storage.startswith("s3a://"):
            raise ValueError("s3: it belongs to a shared_storage of s3a://")
        if (self.blob is not None) != self.shared_storage.startswith(("wasb://", "wasbs://")):
            raise ValueError("blob: it belongs to a shared_storage of wasb:// or wasbs://")
        if (self.yarn is not None) != (self.spark_master == "yarn"):
            raise ValueError("yarn: it belongs to a spark_master of yarn")
        return self

    @property
    def on_hdfs(self) -> bool:
        """Whether the nodes themselves are the shared storage."""
        return self.shared_storage.startswith("hdfs://")

    @property
    def hdfs(self) -> str:
        """URI of the HDFS that the nodes run by our roles; empty where they run none."""
        if self.on_hdfs:
            return self.shared_storage
        return f"hdfs://{self.head.name}:9000" if self.provider == "local" and self.yarn else ""

    @property
    def takes_script_actions(self) -> bool:
        """Whether its nodes get the framework as HDInsight's do: HDInsight itself, and nodes of its shape."""
        return self.hdinsight is not None or (self.yarn is not None and self.blob is not None)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that nodes get and nobody else may see."""
        s3 = self.s3.secret_key if self.s3 else None
        blob = self.blob.key if self.blob else None
        return tuple(secret.get_secret_value() for secret in (self.spark_secret, s3, blob) if secret)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that make a machine a node of this cluster, in order."""
        if self.hdinsight is not None:
            return ("hdinsight",)
        proxy = ("packages_proxy",) if self.package_proxy else ()
        hdfs = ("hdfs",) if self.hdfs else ()
        blobs = ("blob_server",) if self.blob and self.blob.server else ()
        spark = ("yarn", "spark") if self.yarn else ("spark", "spark_standalone")
        return (*proxy, "common", "hadoop", *hdfs, *blobs, "storage", *spark)

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
            at = f" at {where}" if where else ""
            # Not `from error`: pydantic's text quotes the input, and that holds the private key.
            raise StackError(
                f"stack {stack!r}", f"its `cluster` output is not valid{at}: {first['msg']}", up
            ) from None

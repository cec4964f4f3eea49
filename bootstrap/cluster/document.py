"""Schema of a stack's `cluster` output: the cluster as declared.

`infra` writes this document; `fab` reads it from the stack's outputs and from nowhere else. Provider ids stay
in infra, apart from those that commands need to find the cluster's machines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import SecretStr, ValidationError, model_validator

from bootstrap.cluster.access import DeclaredNode, Node, SshAccess, WorkerShape
from bootstrap.cluster.cloud_logs import CloudLogs
from bootstrap.cluster.limits import Limits
from bootstrap.cluster.members import AutoScalingGroup, Members
from bootstrap.cluster.prices import Prices
from bootstrap.cluster.release import HDINSIGHT, SparkLine
from bootstrap.cluster.scheduler import Scheduler, Yarn
from bootstrap.cluster.storage import Blob, Hdfs, Storage
from bootstrap.cluster.versions import READABLE, VERSION, upgrade
from bootstrap.errors import StackError
from bootstrap.model import Model, first_fault
from bootstrap.signing import SigningKey

OPTIONAL_ROLES: Final = frozenset(
    {
        "boot_log",
        "packages_proxy",
        "common",
        "cloud_logs",
        "scratch",
        "efa",
        "hadoop",
        "hdfs",
        "blob_server",
        "job_credentials",
        "storage",
        "spending",
        "spark",
        "spark_standalone",
        "spark_history",
        "yarn",
        "hdinsight",
    }
)
"""Roles that only some clusters have; see `ClusterDocument.roles`."""


class ClusterDocument(Model):
    """A cluster as its stack declares it; `bootstrap.inventory.resolve.resolve` turns it into a `Cluster`."""

    version: Literal[2] = VERSION
    stack: str
    provider: Literal["local", "aws", "azure"]
    head: Node | DeclaredNode
    scheduler: Scheduler
    storage: Storage
    members: Members
    ssh: SshAccess
    spark_secret: SecretStr
    """Shared secret of spark.authenticate, generated with the stack."""
    signing: SigningKey | None = None
    """Key for documents that decide what root runs on nodes; None in stacks of earlier versions."""
    worker: WorkerShape
    spark: SparkLine = HDINSIGHT
    """Release of Spark on nodes that our roles provision; stacks of earlier versions, without it, run 3.5."""
    prices: Prices | None = None
    """Prices when the stack was last updated; None in stacks of earlier versions."""
    limits: Limits | None = None
    """What the stack may cost, and when its workers stop; None without such settings."""
    package_proxy: bool = False
    """Workers cannot reach the distribution's mirrors; the head runs a package proxy for them."""
    cloud_logs: CloudLogs | None = None
    """Where machines send their logs; None if they keep them."""

    @model_validator(mode="after")
    def _known_where_fixed(self) -> ClusterDocument:
        if self.members.fixed and not isinstance(self.head, Node):
            raise ValueError("head: it has no host_key, which fixed members require")
        return self

    @property
    def spark_master(self) -> str:
        """`spark://head:7077`, or `yarn`."""
        return self.scheduler.master

    @property
    def shared_storage(self) -> str:
        """URI of shared storage, without trailing slash."""
        return self.storage.uri

    @property
    def hdfs(self) -> str:
        """URI of the HDFS that our roles run on the nodes; empty if they run none."""
        if isinstance(self.storage, Hdfs):
            return self.storage.uri
        runs_hdfs = self.scheduler.needs_hdfs and not self.members.managed
        return f"hdfs://{self.head.name}:9000" if runs_hdfs else ""

    @property
    def takes_script_actions(self) -> bool:
        """True if nodes get the framework by script actions: HDInsight, and local clusters of its shape."""
        rehearsal = isinstance(self.scheduler, Yarn) and isinstance(self.storage, Blob)
        return self.members.managed or rehearsal

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secret values that are passed to nodes, for redaction."""
        return tuple(
            secret.get_secret_value() for secret in (self.spark_secret, *self.storage.secrets) if secret
        )

    @property
    def signing_key(self) -> SigningKey:
        """The stack's key for signatures.

        Raises:
            StackError: an earlier version created the stack, without one.
        """
        if self.signing is None:
            raise StackError(
                f"stack {self.stack!r}",
                "it has no key to sign what its nodes run: an earlier version created it",
                f"Run `pulumi up --stack {self.stack}`, which adds the key.",
            )
        return self.signing

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of a node of this cluster, in the order of application."""
        if self.members.managed:
            return ("hdinsight",)
        proxy = ("packages_proxy",) if self.package_proxy else ()
        hdfs = ("hdfs",) if self.hdfs else ()
        # Only workers of a group can be stopped without losing the cluster.
        group = self.members
        spending = ("spending",) if isinstance(group, AutoScalingGroup) and group.watched else ()
        storage = (*hdfs, *self.storage.roles, "storage")
        scratch = ("scratch",) if self.worker.instance_store else ()
        # First what tells why a machine could not get further; then the agent, before what it has to tell of.
        first, logs = (("boot_log",), ("cloud_logs",)) if self.cloud_logs else ((), ())
        efa = ("efa",) if self.worker.efa else ()
        base = (*first, *proxy, "common", *logs, *scratch, *efa)
        return (*base, "hadoop", *storage, *spending, *self.scheduler.roles)

    @property
    def worker_count(self) -> int:
        """The declared number of workers."""
        return self.members.worker_count

    @property
    def nodes(self) -> tuple[DeclaredNode, ...]:
        """Declared nodes: the head, then the workers that the document names."""
        return (self.head, *self.members.named_workers)

    @classmethod
    def from_outputs(cls, stack: str, outputs: Mapping[str, Any]) -> ClusterDocument:
        """Read the cluster from `pulumi stack output --json --show-secrets`.

        Raises:
            StackError: there is no `cluster` output, its version is not supported, or it is not valid.
        """
        up = f"Run `pulumi up --stack {stack}`."
        if "cluster" not in outputs:
            exported = ", ".join(sorted(outputs)) or "nothing"
            raise StackError(f"stack {stack!r}", f"it has no output `cluster` (it exports: {exported})", up)
        document = outputs["cluster"]
        if isinstance(document, str):
            document = json.loads(document)
        if not isinstance(document, dict) or document.get("version") not in READABLE:
            version = document.get("version") if isinstance(document, dict) else type(document).__name__
            readable = " and ".join(map(str, READABLE))
            raise StackError(
                f"stack {stack!r}",
                f"its `cluster` output has version {version}, this project reads {readable}",
                up,
            )
        try:
            return ClusterDocument.model_validate(upgrade(document))
        except ValueError as error:
            # Not `from error`: it may quote the input, and that holds the private key.
            raise StackError(
                f"stack {stack!r}", f"its `cluster` output is not valid{_fault(error)}", up
            ) from None


def _fault(error: ValueError) -> str:
    """Format the location and message of the first validation error, without the input value."""
    if not isinstance(error, ValidationError):
        return f": {error}"
    where, why = first_fault(error)
    return f"{f' at {where}' if where else ''}: {why}"

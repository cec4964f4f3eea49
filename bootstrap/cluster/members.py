"""Membership of a cluster: nodes that the stack names, or machines that a cloud adds and removes.

Each kind knows the command that repairs its machines, so that errors end in the right one.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, SecretStr, field_validator

from bootstrap.cluster.access import Node
from bootstrap.model import Model


class Advice(NamedTuple):
    """The second and third part of an error: the cause, and the next command."""

    why: str
    fix: str


class _Members(Model):
    fixed: ClassVar[bool] = False
    """The stack names every node."""
    managed: ClassVar[bool] = False
    """The cloud provisions nodes and runs their services; our roles only add to them."""

    @property
    def named_workers(self) -> tuple[Node, ...]:
        """The workers that the stack's document names."""
        return ()

    def repair(self, stack: str) -> str:
        """The command for a node that does not answer. Completes `Run …`."""
        raise NotImplementedError

    def start_services(self, stack: str) -> str:
        """The command that starts a daemon again. Completes `Run …`."""
        return f"`fab bootstrap --stack {stack}`, which starts it"

    def grow(self, stack: str) -> str:
        """The way to more workers. Completes `Lower it`."""
        return f", or run `pulumi config set workers N --stack {stack}` and `pulumi up`."

    def changed_host_key(self, node: str, stack: str, *, is_head: bool) -> Advice:
        """Advice about a node that shows another host key than the recorded one."""
        return Advice(
            "it shows another host key than the stack recorded", f"Run {self.repair(stack)}; then this again."
        )


class Fixed(_Members):
    """Nodes that Pulumi makes one by one."""

    kind: Literal["fixed"] = "fixed"
    workers: tuple[Node, ...]

    fixed: ClassVar[bool] = True

    @field_validator("workers")
    @classmethod
    def _at_least_one(cls, workers: tuple[Node, ...]) -> tuple[Node, ...]:
        if not workers:
            raise ValueError("there is none")
        return workers

    @property
    def named_workers(self) -> tuple[Node, ...]:
        """All of them."""
        return self.workers

    @property
    def worker_count(self) -> int:
        """The number of workers as declared."""
        return len(self.workers)

    def repair(self, stack: str) -> str:
        """Pulumi replaces nodes."""
        return f"`pulumi up --refresh --stack {stack}`, which replaces a dead node"


class AutoScalingGroup(_Members):
    """An EC2 Auto Scaling group beside the head: workers come and go."""

    kind: Literal["auto_scaling_group"] = "auto_scaling_group"
    name: str
    region: str
    desired_capacity: int = Field(ge=0)

    @property
    def worker_count(self) -> int:
        """The number of workers as declared."""
        return self.desired_capacity

    def repair(self, stack: str) -> str:
        """The group replaces workers itself."""
        return f"`fab workers --stack {stack}`, which shows what became of it"


class HdInsight(_Members):
    """An HDInsight cluster, as Azure's management interface identifies it."""

    kind: Literal["hdinsight"] = "hdinsight"
    subscription: str
    resource_group: str
    name: str
    region: str
    artifacts: str
    """URI of the container that script actions lie in: `wasbs://artifacts@account.blob.core.windows.net`."""
    worker_count: int = Field(ge=1)
    """As declared; with autoscale there may be others."""
    gateway: str = ""
    """URL of its pages and of Livy: `https://NAME.azurehdinsight.net`."""
    gateway_user: str = ""
    gateway_password: SecretStr | None = None

    managed: ClassVar[bool] = True

    def repair(self, stack: str) -> str:
        """Azure replaces nodes."""
        return (
            f"`az hdinsight show --name {self.name} --resource-group {self.resource_group}`, "
            "which says its state"
        )

    def start_services(self, stack: str) -> str:
        """Ambari starts services."""
        return f"`pulumi stack output gateway --stack {stack}`: Ambari, there, starts it"

    def grow(self, stack: str) -> str:
        """A change of the declared number of workers replaces the cluster."""
        return ": with more workers it would be another cluster (docs/azure.md)."

    def changed_host_key(self, node: str, stack: str, *, is_head: bool) -> Advice:
        """The SSH endpoint leads to the active head, which may have become the other one."""
        if not is_head:
            return super().changed_host_key(node, stack, is_head=is_head)
        return Advice(
            "it shows another host key than that node reported: the cluster's other head node took over, or "
            "somebody is in between",
            f"Look under Hosts of https://{self.name}.azurehdinsight.net whether {node} is up, and "
            "restart it there if not; run this again when it is the active head node.",
        )


Members = Annotated[Fixed | AutoScalingGroup | HdInsight, Field(discriminator="kind")]

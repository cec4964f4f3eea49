"""Membership of a cluster: nodes that the stack names, or machines that a cloud adds and removes.

Each kind provides the commands that repair its machines, for the last part of error messages.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, SecretStr, field_validator

from bootstrap.cluster.access import Node
from bootstrap.model import Model


class Advice(NamedTuple):
    """Cause and next command: the second and third part of an error."""

    why: str
    fix: str


class _Members(Model):
    fixed: ClassVar[bool] = False
    """The stack names every node."""
    managed: ClassVar[bool] = False
    """The cloud provisions nodes and runs their services; our roles only add to them."""

    @property
    def named_workers(self) -> tuple[Node, ...]:
        """Workers that the stack's document names."""
        return ()

    @property
    def spot(self) -> bool:
        """True if the cloud may take workers back at any time."""
        return False

    def repair(self, stack: str) -> str:
        """Return the command that repairs an unreachable node; completes `Run …`."""
        raise NotImplementedError

    def start_services(self, stack: str) -> str:
        """Return the command that restarts a daemon; completes `Run …`."""
        return f"`fab bootstrap --stack {stack}`, which starts it"

    def grow(self, stack: str) -> str:
        """Return the advice for more workers; completes `Lower it`."""
        return f", or run `pulumi config set workers N --stack {stack}` and `pulumi up`."

    def changed_host_key(self, node: str, stack: str, *, is_head: bool) -> Advice:
        """Return the advice for a node whose host key differs from the recorded one."""
        return Advice(
            "it shows another host key than the stack recorded",
            f"Run {self.repair(stack)}; then rerun this command.",
        )


class Fixed(_Members):
    """Nodes that Pulumi creates individually."""

    kind: Literal["fixed"] = "fixed"
    workers: tuple[Node, ...]

    fixed: ClassVar[bool] = True

    @field_validator("workers")
    @classmethod
    def _at_least_one(cls, workers: tuple[Node, ...]) -> tuple[Node, ...]:
        if not workers:
            raise ValueError("at least one worker is required")
        return workers

    @property
    def named_workers(self) -> tuple[Node, ...]:
        """All workers."""
        return self.workers

    @property
    def worker_count(self) -> int:
        """The declared number of workers."""
        return len(self.workers)

    def repair(self, stack: str) -> str:
        """Return the command by which Pulumi replaces nodes."""
        return f"`pulumi up --refresh --stack {stack}`, which replaces a dead node"


class AutoScalingGroup(_Members):
    """An EC2 Auto Scaling group of workers, with the head outside it."""

    kind: Literal["auto_scaling_group"] = "auto_scaling_group"
    name: str
    region: str
    desired_capacity: int = Field(ge=0)
    market: Literal["spot", "on_demand"] = "spot"
    """`spot` if any worker may be a spot instance. Stacks of earlier versions do not say; theirs are, unless
    they were told otherwise, and a snapshot too many costs less than one too few."""
    min_size: int = Field(ge=0, default=0)
    """Least size, which the group has again when its workers come back."""
    watched: bool = False
    """The head keeps account of the stack's spending and stops workers (role `spending`); False in stacks of
    earlier versions."""

    fallback_seconds: int | None = Field(gt=0, default=None)
    """Seconds without spot capacity, after which the head has missing workers come on demand; None if they
    wait for it."""

    scales: bool = False
    """The group grows for jobs up to `max_size`, and the head makes it smaller when nothing runs."""
    max_size: int = Field(ge=0, default=0)
    """Greatest size; 0 in stacks of earlier versions, which do not say."""

    def grow(self, stack: str) -> str:
        """Return the advice for more workers; those of a group that scales were wanted already."""
        if not self.scales:
            return super().grow(stack)
        return f", or see why no more workers have come: `fab workers --stack {stack}`."

    @property
    def spot(self) -> bool:
        """See `_Members.spot`."""
        return self.market == "spot"

    @property
    def worker_count(self) -> int:
        """The declared number of workers."""
        return self.desired_capacity

    def repair(self, stack: str) -> str:
        """Return the command that shows the group's state; the group replaces workers itself."""
        return f"`fab workers --stack {stack}`, which shows its state"


class HdInsight(_Members):
    """An HDInsight cluster, as Azure Resource Manager identifies it."""

    kind: Literal["hdinsight"] = "hdinsight"
    subscription: str
    resource_group: str
    name: str
    region: str
    artifacts: str
    """URI of the container of script actions: `wasbs://artifacts@account.blob.core.windows.net`."""
    worker_count: int = Field(ge=1)
    """The declared number; autoscale may change the current one."""
    gateway: str = ""
    """URL of Ambari and Livy: `https://NAME.azurehdinsight.net`."""
    gateway_user: str = ""
    gateway_password: SecretStr | None = None

    managed: ClassVar[bool] = True

    def repair(self, stack: str) -> str:
        """Return the command that shows the cluster's state; Azure replaces nodes itself."""
        return (
            f"`az hdinsight show --name {self.name} --resource-group {self.resource_group}`, "
            "which shows its state"
        )

    def start_services(self, stack: str) -> str:
        """Return the command that leads to Ambari, which starts services."""
        return f"`pulumi stack output gateway --stack {stack}`: Ambari at that URL starts it"

    def grow(self, stack: str) -> str:
        """Return the advice that another declared number of workers replaces the cluster."""
        return ": changing the number of workers replaces the cluster (docs/azure.md)."

    def changed_host_key(self, node: str, stack: str, *, is_head: bool) -> Advice:
        """Return the advice; the SSH endpoint leads to the active head node, which changes on failover."""
        if not is_head:
            return super().changed_host_key(node, stack, is_head=is_head)
        return Advice(
            "it shows another host key than that node reported: the cluster's other head node took over, or "
            "the connection is intercepted",
            f"Check under Hosts of https://{self.name}.azurehdinsight.net whether {node} is up, and "
            "restart it there if not; rerun this command when it is the active head node.",
        )


Members = Annotated[Fixed | AutoScalingGroup | HdInsight, Field(discriminator="kind")]

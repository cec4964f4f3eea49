"""Cluster with resolved nodes, as provisioning and jobs use it."""

from __future__ import annotations

from pydantic import model_validator

from bootstrap.cluster.access import Node
from bootstrap.cluster.document import ClusterDocument
from bootstrap.cluster.members import AutoScalingGroup
from bootstrap.errors import StackError


class Cluster(ClusterDocument):
    """A declared cluster with its current head and workers."""

    head: Node
    workers: tuple[Node, ...]
    """In the stack's order; for an Auto Scaling group by instance id, for HDInsight by host number. Empty
    where a group's workers are stopped."""

    @model_validator(mode="after")
    def _has_workers(self) -> Cluster:
        if not self.workers and not isinstance(self.members, AutoScalingGroup):
            raise ValueError("workers: at least one is required")
        return self

    @classmethod
    def of(cls, document: ClusterDocument, *, workers: tuple[Node, ...], head: Node | None = None) -> Cluster:
        """Return the declared cluster with these workers, and with this head if one is passed."""
        known = {"workers": workers} if head is None else {"workers": workers, "head": head}
        return cls.model_validate({**dict(document), **known})

    @property
    def worker_count(self) -> int:
        """The current number of workers."""
        return len(self.workers)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The head first, then the workers."""
        return (self.head, *self.workers)

    def node(self, name: str) -> Node:
        """Return the node of that name.

        Raises:
            StackError: the cluster has no such node.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(n.name for n in self.nodes)
        raise StackError(f"node {name!r}", f"stack {self.stack!r} has {names}", "Name one of these.")

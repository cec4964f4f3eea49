"""A cluster whose nodes are known: what provisioning and jobs work on."""

from __future__ import annotations

from pydantic import Field

from bootstrap.cluster.access import Node
from bootstrap.cluster.document import ClusterDocument
from bootstrap.errors import StackError


class Cluster(ClusterDocument):
    """A declared cluster with the head and the workers of this moment."""

    head: Node
    workers: tuple[Node, ...] = Field(min_length=1)
    """In the stack's order; those of a group, or of HDInsight, in the order of their names."""

    @classmethod
    def of(cls, document: ClusterDocument, *, workers: tuple[Node, ...], head: Node | None = None) -> Cluster:
        """The declared cluster with these workers; its head is the declared one unless another is given."""
        known = {"workers": workers} if head is None else {"workers": workers, "head": head}
        return cls.model_validate({**dict(document), **known})

    @property
    def worker_count(self) -> int:
        """The number of workers that is known: of this moment."""
        return len(self.workers)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The head first, then the workers."""
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

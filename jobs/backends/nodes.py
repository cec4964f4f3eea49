"""Check of the framework on all nodes, before a job is submitted."""

from __future__ import annotations

from bootstrap import paths
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError
from bootstrap.ssh.on_all import on_all
from bootstrap.ssh.remote import connect

_FRAMEWORK = f"readlink -f {paths.CAFFE_HOME}; test -d {paths.CAFFE_HOME}/python"


def require_framework(cluster: Cluster) -> None:
    """Refuse a cluster whose nodes do not all have the head's framework.

    Raises:
        Unreachable: a node does not answer.
        JobError: a node has no framework or another one.
    """
    versions = on_all(cluster.nodes, lambda node: _framework(cluster, node))
    for node, version in zip(cluster.nodes, versions, strict=True):
        if version != versions[0] or not version:
            what = (
                f"it has {version}, the head has {versions[0]}" if version else "Caffe is not installed there"
            )
            raise JobError(node.name, what, f"Run `fab build-headnode --stack {cluster.stack}`.")


def _framework(cluster: Cluster, node: Node) -> str:
    with connect(cluster, node) as remote:
        result = remote.run(_FRAMEWORK, check=False, timeout=30)
    return result.stdout.strip() if result.ok else ""

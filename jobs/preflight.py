"""What is looked at on the cluster before a job is submitted: nodes, framework, room for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from bootstrap import paths
from bootstrap.cluster import Cluster, Node, Yarn
from bootstrap.errors import JobError
from bootstrap.remote import Remote, connect
from jobs import standalone, yarn
from jobs.spec import JobSpec

_FRAMEWORK = f"readlink -f {paths.CAFFE_HOME}; test -d {paths.CAFFE_HOME}/python"


def nodes(cluster: Cluster) -> None:
    """Every node answers and has the framework, the same one.

    Raises:
        Unreachable: one does not answer.
        JobError: one has no framework, or another than the head.
    """
    with ThreadPoolExecutor(len(cluster.nodes)) as pool:
        found = list(pool.map(lambda node: _framework(cluster, node), cluster.nodes))
    for node, version in zip(cluster.nodes, found, strict=True):
        if version != found[0] or not version:
            what = f"it has {version}, the head has {found[0]}" if version else "Caffe is not installed there"
            raise JobError(node.name, what, f"Run `fab build-headnode --stack {cluster.stack}`.")


def _framework(cluster: Cluster, node: Node) -> str:
    with connect(cluster, node) as remote:
        result = remote.run(_FRAMEWORK, check=False, timeout=30)
    return result.stdout.strip() if result.ok else ""


def spark(head: Remote, cluster: Cluster, spec: JobSpec) -> None:
    """The cluster manager has room for the job on workers that are alive.

    Raises:
        ServiceDown: Spark's master, or YARN's ResourceManager, does not answer.
        JobError: there is not enough room now; says who holds it and which workers are missing.
    """
    (yarn if isinstance(cluster.scheduler, Yarn) else standalone).require_room(head, cluster, spec)

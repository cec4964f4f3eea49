"""What is looked at on the cluster before a job is submitted: nodes, framework, Spark's own view."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bootstrap import paths
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError, ServiceDown
from bootstrap.remote import Remote, connect
from jobs.spec import JobSpec

MASTER_UI = 8080
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
    """Spark's master has room for the job on workers that are alive.

    Raises:
        ServiceDown: the master does not answer.
        JobError: there is not enough room now; says who holds it and which workers are missing.
    """
    url = f"http://{cluster.head.name}:{MASTER_UI}/json/"
    answer = head.run(f"curl -fsS --noproxy '*' --max-time 5 {url}", check=False, timeout=30)
    if not answer.ok:
        raise ServiceDown(
            cluster.spark_master,
            "Spark's master does not answer",
            f"Run `fab bootstrap --stack {cluster.stack}`, which starts it.",
        )
    refuse_without_room(json.loads(answer.stdout), cluster, spec)


def refuse_without_room(state: dict[str, Any], cluster: Cluster, spec: JobSpec) -> None:
    """Judge the master's own report. Pure.

    Raises:
        JobError: as `spark`.
    """
    alive = {worker["host"]: worker for worker in state["workers"] if worker["state"] == "ALIVE"}
    room = sum(
        min(worker["coresfree"] // spec.cores, worker["memoryfree"] // (spec.memory // 2))
        for worker in alive.values()
    )
    if room >= spec.executors:
        return
    given = f"executors: {spec.executors}, each of {spec.cores} cores and {spec.memory} MiB"
    missing = [node.name for node in cluster.workers if node.name not in alive]
    if missing:
        raise JobError(
            given,
            f"Spark has room for {room}: its worker on {', '.join(missing)} is dead",
            f"Run `fab bootstrap --stack {cluster.stack}`, which starts it again.",
        )
    running = ", ".join(app["name"] for app in state["activeapps"]) or "nothing that the master names"
    raise JobError(given, f"Spark has room for {room} now, {running} runs", "Wait for it, or ask for fewer.")

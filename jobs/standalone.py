"""Spark's own cluster manager: its master's report, and whether a job has room in it."""

from __future__ import annotations

import json
from typing import Any

from bootstrap.cluster import Cluster
from bootstrap.errors import JobError, ServiceDown
from bootstrap.remote import Remote
from jobs.room import Size, room
from jobs.spec import JobSpec

MASTER_UI = 8080


def require_room(head: Remote, cluster: Cluster, spec: JobSpec) -> None:
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
        JobError: as `require_room`.
    """
    alive = {worker["host"]: worker for worker in state["workers"] if worker["state"] == "ALIVE"}
    free = [Size(worker["coresfree"], worker["memoryfree"]) for worker in alive.values()]
    # Spark hands out the JVMs' half; the other is the trainer's, which it does not count.
    fit = room(free, Size(spec.cores, spec.memory // 2))
    if fit >= spec.executors:
        return
    given = f"executors: {spec.executors}, each of {spec.cores} cores and {spec.memory} MiB"
    missing = [node.name for node in cluster.workers if node.name not in alive]
    if missing:
        raise JobError(
            given,
            f"Spark has room for {fit}: its worker on {', '.join(missing)} is dead",
            f"Run `fab bootstrap --stack {cluster.stack}`, which starts it again.",
        )
    running = ", ".join(app["name"] for app in state["activeapps"]) or "nothing that the master names"
    raise JobError(given, f"Spark has room for {fit} now, {running} runs", "Wait for it, or ask for fewer.")

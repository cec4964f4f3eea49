"""YARN as cluster manager: the ResourceManager's report, whether a job has room in it, and its end."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap import paths
from bootstrap.cluster import Cluster, Yarn
from bootstrap.errors import JobError, ServiceDown
from bootstrap.remote import Remote
from jobs.room import DRIVER_MB, Size, driver, room
from jobs.spec import JobSpec

UNFINISHED = "NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING"
_PROFILE = f"[ ! -r {paths.PROFILE} ] || . {paths.PROFILE}"


def require_room(head: Remote, cluster: Cluster, spec: JobSpec) -> None:
    """YARN has room for the job, and its driver, on nodes that are alive.

    Raises:
        ServiceDown: the ResourceManager does not answer; spark-submit would try for ten minutes.
        JobError: there is not enough room now; says who holds it and which nodes are missing.
    """
    nodes = ask(head, cluster, "nodes")
    apps = ask(head, cluster, f"apps?states={UNFINISHED}")
    refuse_without_room(_listed(nodes, "node"), _listed(apps, "app"), cluster, spec)


def ask(head: Remote, cluster: Cluster, path: str) -> Mapping[str, Any]:
    """An answer of the ResourceManager's web service.

    Raises:
        ServiceDown: there is none.
    """
    manager = access(cluster).resource_manager
    url = shlex.quote(f"{manager}/ws/v1/cluster/{path}")
    # A standby ResourceManager sends the caller to the active one.
    answer = head.run(f"curl -fsSL --noproxy '*' --max-time 5 {url}", check=False, timeout=30)
    if not answer.ok:
        raise ServiceDown(
            manager,
            f"YARN's ResourceManager does not answer ({answer.tail.strip() or 'no words'})",
            f"Run `fab bootstrap --stack {cluster.stack}`, which starts it.",
        )
    found: Mapping[str, Any] = json.loads(answer.stdout)
    return found


def access(cluster: Cluster) -> Yarn:
    """The cluster's YARN; it is a bug to ask others for it."""
    assert cluster.yarn is not None  # noqa: S101 - callers look first
    return cluster.yarn


def refuse_without_room(
    nodes: Sequence[Mapping[str, Any]], apps: Sequence[Mapping[str, Any]], cluster: Cluster, spec: JobSpec
) -> None:
    """Judge the ResourceManager's own report. Pure.

    Raises:
        JobError: as `require_room`.
    """
    alive = {node["nodeHostName"]: node for node in nodes if node["state"] == "RUNNING"}
    free = [Size(node["availableVirtualCores"], node["availMemoryMB"]) for node in alive.values()]
    fit = room(free, Size(spec.cores, spec.memory), driver(cluster))
    if fit >= spec.executors:
        return
    given = f"executors: {spec.executors}, each of {spec.cores} cores and {spec.memory} MiB"
    have = f"YARN has room for {fit} beside the driver ({DRIVER_MB} MiB)"
    missing = [node.name for node in cluster.workers if node.name not in alive]
    if missing:
        raise JobError(
            given,
            f"{have}: its NodeManager on {', '.join(missing)} is {_state(nodes, missing[0])}",
            f"Run `fab bootstrap --stack {cluster.stack}`, which starts it again.",
        )
    running = ", ".join(f"{app['name']} ({app['id']})" for app in apps) or "nothing that YARN names"
    raise JobError(
        given,
        f"{have} now, {running} runs",
        "Wait for it, ask for fewer, or end it: `fab status`, `fab kill JOB`.",
    )


def explain(head: Remote, cluster: Cluster, job: str) -> str:
    """Why YARN has given a job fewer executors than it asked for, going by what it says now; may be empty.

    Raises:
        ServiceDown: the ResourceManager does not answer.
    """
    nodes = _listed(ask(head, cluster, "nodes"), "node")
    alive = {node["nodeHostName"] for node in nodes if node["state"] == "RUNNING"}
    missing = [node.name for node in cluster.workers if node.name not in alive]
    if missing:
        return f"the NodeManager on {', '.join(missing)} is {_state(nodes, missing[0])}"
    running = [
        f"{app['name']} holds {app['allocatedMB']} MiB"
        for app in _listed(ask(head, cluster, f"apps?states={UNFINISHED}"), "app")
        if app["name"] != job
    ]
    return ", ".join(running)


def kill(head: Remote, cluster: Cluster, job: str) -> None:
    """End what YARN runs of the job; nothing happens when there is nothing.

    Raises:
        ServiceDown: the ResourceManager does not answer.
    """
    path = f"apps?applicationTags={job.lower()}&states={UNFINISHED}"
    ids = [str(app["id"]) for app in _listed(ask(head, cluster, path), "app")]
    for id_ in ids:
        head.run(
            f"{_PROFILE}; runuser -u {paths.JOB_USER} -- {paths.YARN} application -kill {shlex.quote(id_)}",
            check=False,
            timeout=60,
        )


def others(head: Remote, cluster: Cluster, jobs: set[str]) -> list[tuple[str, str, str]]:
    """Unfinished applications that are none of these jobs: (id, state, name).

    Raises:
        ServiceDown: the ResourceManager does not answer.
    """
    apps = _listed(ask(head, cluster, f"apps?states={UNFINISHED}"), "app")
    return [(app["id"], app["state"], app["name"]) for app in apps if app["name"] not in jobs]


def _listed(answer: Mapping[str, Any], kind: str) -> Sequence[Mapping[str, Any]]:
    """`{"nodes": {"node": […]}}`; the inner object is null, or empty, where there is none."""
    return (answer.get(f"{kind}s") or {}).get(kind) or []


def _state(nodes: Sequence[Mapping[str, Any]], name: str) -> str:
    """What YARN says of a node: an unhealthy one says why."""
    for node in nodes:
        if node["nodeHostName"] == name:
            report = str(node.get("healthReport", "")).strip()
            return f"{str(node['state']).lower()}{f' ({report})' if report else ''}"
    return "unknown to it"

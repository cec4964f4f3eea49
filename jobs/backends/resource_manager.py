"""YARN's ResourceManager, asked through the head: its nodes, its applications, and their end."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap import paths
from bootstrap.cluster import Cluster, Yarn
from bootstrap.errors import JobError, ServiceDown
from bootstrap.ssh.remote import Remote
from jobs.backends.base import Foreign
from jobs.backends.node_logs import short
from jobs.capacity import DRIVER_MB, Size, driver, executor, fitting
from jobs.spec import JobSpec

UNFINISHED = "NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING"
KILLED_WITHIN_S = 30.0
"""Seconds in which an application is to be over that YARN was told to kill."""


def require_capacity(head: Remote, cluster: Cluster, spec: JobSpec) -> None:
    """Refuse a job that YARN has no room for, with its driver, on nodes that are alive.

    Raises:
        ServiceDown: the ResourceManager does not answer; spark-submit would try for ten minutes.
        JobError: there is not enough room now; says who holds it and which nodes are missing.
    """
    nodes = ask(head, cluster, "nodes")
    apps = ask(head, cluster, f"apps?states={UNFINISHED}")
    refuse_without_capacity(_listed(nodes, "node"), _listed(apps, "app"), cluster, spec)


def access(cluster: Cluster) -> Yarn:
    """Return the cluster's YARN; to ask another cluster for it is a bug."""
    assert isinstance(cluster.scheduler, Yarn)  # noqa: S101 - the registry looks first
    return cluster.scheduler


def ask(head: Remote, cluster: Cluster, path: str) -> Mapping[str, Any]:
    """An answer of the ResourceManager's web service.

    Raises:
        ServiceDown: there is none.
    """
    manager = access(cluster).resource_manager
    url = shlex.quote(f"{manager}/ws/v1/cluster/{path}")
    # A standby ResourceManager sends the caller to the active one.
    answer = head.run(f"curl -fsSL --noproxy '*' --max-time 5 {url}", check=False, timeout=30)
    try:
        if answer.ok:
            found: Mapping[str, Any] = json.loads(answer.stdout)
            return found
        said = answer.tail.strip() or "no words"
    except ValueError:
        said = "what answers is a page"
    why = f"YARN's ResourceManager does not answer ({said})"
    raise ServiceDown(manager, why, f"Run {cluster.members.start_services(cluster.stack)}.")


def command(*words: str) -> str:
    """A shell command that runs Hadoop's `yarn` as the user whose jobs they are."""
    yarn = shlex.join([paths.YARN, *words])
    return f"{paths.LOAD_PROFILE}; runuser -u {paths.JOB_USER} -- {yarn}"


def refuse_without_capacity(
    nodes: Sequence[Mapping[str, Any]], apps: Sequence[Mapping[str, Any]], cluster: Cluster, spec: JobSpec
) -> None:
    """Refuse a job that the ResourceManager's own report has no room for. Pure.

    Raises:
        JobError: as `require_capacity`.
    """
    alive = [node for node in nodes if node["state"] == "RUNNING"]
    free = [Size(node["availableVirtualCores"], node["availMemoryMB"]) for node in alive]
    fit = fitting(free, executor(spec, cluster), driver(cluster))
    if fit >= spec.executors:
        return
    given = f"executors: {spec.executors}, each of {spec.cores} cores and {spec.memory} MiB"
    have = f"YARN has room for {fit} beside the driver ({DRIVER_MB} MiB)"
    missing = _missing(nodes, cluster)
    if missing:
        raise JobError(given, f"{have}: {missing}", f"Run {cluster.members.start_services(cluster.stack)}.")
    running = ", ".join(f"{app['name']} ({app['id']})" for app in apps) or "nothing that YARN names"
    here = f"--stack {cluster.stack}"
    raise JobError(
        given,
        f"{have} now, {running} runs",
        f"Wait for it, ask for fewer, or end it: `fab status {here}`, `fab kill JOB {here}`.",
    )


def explain(head: Remote, cluster: Cluster, job: str) -> str:
    """Why YARN has given a job fewer executors than it asked for, going by what it says now; may be empty.

    Raises:
        ServiceDown: the ResourceManager does not answer.
    """
    missing = _missing(_listed(ask(head, cluster, "nodes"), "node"), cluster)
    if missing:
        return missing
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
        JobError: YARN was told, and the application goes on.
    """
    left, said = unfinished(head, cluster, job), ""
    for id_ in left:
        said = head.run(command("application", "-kill", id_), check=False, timeout=60).tail
    deadline = time.monotonic() + KILLED_WITHIN_S
    while left:
        left = unfinished(head, cluster, job)
        if left and time.monotonic() > deadline:
            why = f"YARN does not end {', '.join(left)}: {said.strip() or 'nothing says why'}"
            raise JobError(f"job {job}", why, f"Run `fab kill {job} --stack {cluster.stack}` again.")
        time.sleep(0.5 * bool(left))


def unfinished(head: Remote, cluster: Cluster, job: str) -> list[str]:
    """Ids of the job's applications that YARN has yet to begin or runs.

    Raises:
        ServiceDown: the ResourceManager does not answer.
    """
    # Spark keeps a tag as it is, and YARN has it in small letters.
    path = f"apps?applicationTags={job.lower()}&states={UNFINISHED}"
    return [str(app["id"]) for app in _listed(ask(head, cluster, path), "app")]


def foreign(head: Remote, cluster: Cluster, jobs: set[str]) -> list[Foreign]:
    """Return unfinished applications that are none of these jobs.

    Raises:
        ServiceDown: the ResourceManager does not answer.
    """
    apps = _listed(ask(head, cluster, f"apps?states={UNFINISHED}"), "app")
    return [Foreign(app["id"], app["state"], app["name"]) for app in apps if app["name"] not in jobs]


def _listed(answer: Mapping[str, Any], kind: str) -> Sequence[Mapping[str, Any]]:
    """`{"nodes": {"node": […]}}`; the inner object is null, or empty, where there is none."""
    return (answer.get(f"{kind}s") or {}).get(kind) or []


def _missing(nodes: Sequence[Mapping[str, Any]], cluster: Cluster) -> str:
    """Which workers YARN cannot use, and why by what it says of the first; empty where it can use all."""
    known = {short(node["nodeHostName"]): node for node in nodes}
    lost = [
        worker.name
        for worker in cluster.workers
        if known.get(short(worker.name), {}).get("state") != "RUNNING"
    ]
    if not lost:
        return ""
    first = known.get(short(lost[0]), {})
    report = str(first.get("healthReport", "")).strip()
    state = str(first.get("state", "unknown to it")).lower() if first else "unknown to it"
    return f"the NodeManager on {', '.join(lost)} is {state}{f' ({report})' if report else ''}"

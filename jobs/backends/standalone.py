"""Spark's standalone master as a backend: drivers run on the head, in client mode."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bootstrap.cluster import Cluster, ClusterDocument
from bootstrap.errors import JobError, ServiceDown
from bootstrap.ssh.remote import Remote
from jobs.backends.head import HeadBackend
from jobs.backends.node_logs import LogPlace, executor_of, node_of, plain
from jobs.capacity import Size, executor, fitting
from jobs.job import JobPlace, JobRecord, SubmittedJob
from jobs.spec import JobSpec
from jobs.submission.spark_submit import environment, jvm_settings, script, settings, spark_submit_argv

MASTER_UI = 8080
WORK = "/var/lib/spark/work"
"""Folder of a worker with APPLICATION/EXECUTOR/stderr."""


class StandaloneBackend(HeadBackend):
    """See `jobs.backends.base.Backend`."""

    name = "standalone"

    def require_capacity(self, spec: JobSpec) -> None:
        """Refuse a job that does not fit into the free resources of live workers.

        Raises:
            ServiceDown: the master does not answer.
            JobError: the job does not fit now.
        """
        refuse_without_capacity(master_state(self.head, self.cluster), self.cluster, spec)

    def script(self, job: SubmittedJob) -> str:
        """See `HeadBackend.script`."""
        return job_script(job.spec, self.cluster, job.place)

    def log_place(self, record: JobRecord, executor: int | None) -> LogPlace:
        """See `HeadBackend.log_place`."""
        if executor is None:
            return LogPlace(self.cluster.head, (f"{record.job.place.folder}/log",))
        host = executor_of(self.cluster, record, executor)["host"]
        application = plain(record.history.application)
        folder = f"{WORK}/{application}/{executor}"
        return LogPlace(node_of(self.cluster, host), (folder,) if application else ())


def master_state(head: Remote, cluster: Cluster) -> dict[str, Any]:
    """Return the report of Spark's master.

    Raises:
        ServiceDown: the master does not answer.
    """
    url = f"http://{cluster.head.name}:{MASTER_UI}/json/"
    answer = head.run(f"curl -fsS --noproxy '*' --max-time 5 {url}", check=False, timeout=30)
    if not answer.ok:
        raise ServiceDown(
            cluster.spark_master,
            "Spark's master does not answer",
            f"Run {cluster.members.start_services(cluster.stack)}.",
        )
    state: dict[str, Any] = json.loads(answer.stdout)
    return state


def free_executors(state: Mapping[str, Any], cluster: ClusterDocument, spec: JobSpec) -> int:
    """Return how many executors of a job fit into the free resources of live workers. Pure."""
    alive = [worker for worker in state["workers"] if worker["state"] == "ALIVE"]
    free = [Size(worker["coresfree"], worker["memoryfree"], _free_gpus(worker)) for worker in alive]
    # Spark counts the JVM's half of the memory only; the other half is the trainer's.
    return fitting(free, executor(spec, cluster)._replace(memory_mb=spec.memory // 2))


def hosts_in_use(state: Mapping[str, Any]) -> set[str]:
    """Return the hosts of workers that have executors, by the master's report. Pure."""
    return {worker["host"] for worker in state["workers"] if worker["coresused"]}


def job_script(spec: JobSpec, cluster: Cluster, place: JobPlace) -> str:
    """Return the shell script that runs a job on the head. Pure."""
    conf = {**settings(spec, cluster, place), **jvm_settings(cluster)}
    command = spark_submit_argv(spec, place, master=cluster.spark_master, deploy_mode="client", conf=conf)
    return script(place, environment(spec, cluster, place), command)


def refuse_without_capacity(state: Mapping[str, Any], cluster: Cluster, spec: JobSpec) -> None:
    """Refuse a job that does not fit, by the master's report. Pure.

    Raises:
        JobError: it does not fit; the message has the jobs that hold resources or the workers missing.
    """
    alive = {worker["host"] for worker in state["workers"] if worker["state"] == "ALIVE"}
    fit = free_executors(state, cluster, spec)
    if fit >= spec.executors:
        return
    given = f"executors: {spec.executors}, each of {spec.cores} cores and {spec.memory} MiB"
    missing = [node.name for node in cluster.workers if node.name not in alive]
    if missing:
        raise JobError(
            given,
            f"Spark has room for {fit}: its worker on {', '.join(missing)} is dead",
            f"Run `fab bootstrap --stack {cluster.stack}`, which restarts it.",
        )
    running = ", ".join(app["name"] for app in state["activeapps"]) or "no listed application"
    raise JobError(
        given,
        f"Spark has room for {fit} now; the rest is in use by: {running}",
        "Wait for it, or lower executors.",
    )


def _free_gpus(worker: Mapping[str, Any]) -> int:
    free = worker.get("resourcesfree", {}).get("gpu", {})
    return len(free.get("addresses", ()))

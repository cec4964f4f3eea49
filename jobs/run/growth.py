"""Growth of a group of workers for a job that waits for executors (`scaleToQueue`).

There is no queue of jobs besides Spark's own: a job that finds no room is refused. In a group that scales,
workers are added for it first, and the job begins when they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from rich.console import Console

from bootstrap.cluster import AutoScalingGroup, Cluster
from bootstrap.console import print_line
from bootstrap.errors import JobError
from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.scaling import grow
from bootstrap.ssh.remote import connect
from jobs import capacity
from jobs.backends.standalone import free_executors, master_state
from jobs.spec import JobSpec

CLOCKS: Final = timedelta(seconds=30)
"""By which this machine's clock and AWS's may differ."""

State = Callable[[Cluster], Mapping[str, Any]]


def with_room(cluster: Cluster, spec: JobSpec, console: Console, state: State | None = None) -> Cluster:
    """Return the cluster with workers for the job, if its group scales; else as it is.

    Raises:
        ConfigError: the job is larger than the group may be.
        JobError: it is larger than what other jobs leave of that.
        StackError, ServiceDown, Unreachable: the group, the master or the head does not answer.
    """
    group = cluster.members
    if not isinstance(group, AutoScalingGroup) or not group.scales:
        return cluster
    capacity.check(spec, cluster, workers=group.max_size)
    missing = workers_missing((state or _of_master)(cluster), cluster, spec)
    if not missing:
        return cluster
    wanted = len(cluster.workers) + missing
    if wanted > group.max_size:
        raise JobError(
            f"executors: {spec.executors}, each of {spec.cores} cores and {spec.memory} MiB",
            f"it needs {wanted} workers besides what other jobs use, and maxWorkers is {group.max_size}",
            f"Wait for these jobs (`fab status --stack {cluster.stack}`), or lower executors.",
        )
    since = datetime.now(timezone.utc) - CLOCKS
    before, now = grow(group, wanted, cluster.stack)
    print_line(
        console,
        f"workers  {wanted} wanted for {spec.executors} executors; the group grows: {before} to {now}",
    )
    return resolve(cluster, console, since=since)


def workers_missing(state: Mapping[str, Any], cluster: Cluster, spec: JobSpec) -> int:
    """Return how many workers more a job needs than those with free resources. Pure.

    One that Spark does not list counts as free: provisioning, which comes before the job, starts it again.
    """
    shape = cluster.worker
    whole = capacity.Size(shape.cores, shape.memory_mb, shape.gpus)
    each = whole.holds(capacity.executor(spec, cluster))
    alive = {one["host"] for one in state["workers"] if one["state"] == "ALIVE"}
    silent = sum(1 for node in cluster.workers if node.name not in alive)
    # Spark counts without the trainer's half of the memory: more would fit than `capacity.check` allows.
    free = min(free_executors(state, cluster, spec), (cluster.worker_count - silent) * each)
    lacking = max(0, spec.executors - free - silent * each)
    return -(-lacking // each)


def _of_master(cluster: Cluster) -> Mapping[str, Any]:
    with connect(cluster, cluster.head) as head:
        return master_state(head, cluster)

"""Growth of a group of workers for a job that waits for executors (`scaleToQueue`).

There is no queue of jobs besides Spark's own: a job that finds no room is refused. In a group that scales,
workers are added for it first, and the job begins when they are there. If it then does not run, they go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from rich.console import Console

from bootstrap.cluster import AutoScalingGroup, Cluster
from bootstrap.console import print_line
from bootstrap.errors import CaffeSparkError, JobError, JobRefused
from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.scaling import Growth, grow, shrink
from bootstrap.ssh.remote import connect
from jobs import capacity
from jobs.backends.standalone import free_executors, hosts_in_use, master_state
from jobs.signals import uninterrupted
from jobs.spec import JobSpec

CLOCKS: Final = timedelta(seconds=30)
"""By which this machine's clock and AWS's may differ."""

State = Callable[[Cluster], Mapping[str, Any]]


class Room:
    """A cluster with workers for a job; `use` tells that it runs."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.used = cluster, False

    def use(self) -> None:
        """Keep the workers."""
        self.used = True


@contextmanager
def room(
    cluster: Cluster,
    spec: JobSpec,
    console: Console,
    check: Callable[[], object] = bool,
    state: State | None = None,
) -> Iterator[Room]:
    """Have workers for the job in this block, if the cluster's group scales; before it grows, `check` raises
    refusals that need no further workers to be known.

    Where the block ends with an error before the job runs, or the job is refused, the group goes back to what
    it was, but for workers that have executors.

    Raises:
        ConfigError: the job is larger than the group may be.
        JobError: it is larger than what other jobs leave of that.
        StackError, ServiceDown, Unreachable: the group, the master or the head does not answer.
    """
    state = state or _of_master
    group, found = cluster.members, Room(cluster)
    if not isinstance(group, AutoScalingGroup) or not group.scales:
        yield found
        return
    missing = _checked(cluster, group, spec, state)
    if not missing:
        yield found
        return
    check()
    since = datetime.now(timezone.utc) - CLOCKS
    wanted = len(cluster.workers) + missing
    grown = grow(group, wanted, cluster.stack)
    print_line(
        console,
        f"workers  {wanted} wanted for {spec.executors} executors; the group grows: {grown.before} to "
        f"{grown.now}",
    )
    try:
        found.cluster = resolve(cluster, console, since=since)
        yield found
    except BaseException as error:
        if grown.now > grown.before and (isinstance(error, JobRefused) or not found.used):
            with uninterrupted():
                words = _give_back(cluster, group, grown, state)
                print_line(console, f"workers  the job has not run; {words}")
        raise


def _checked(cluster: Cluster, group: AutoScalingGroup, spec: JobSpec, state: State) -> int:
    """Return how many workers more a job needs, if it may have them."""
    capacity.check(spec, cluster, workers=group.max_size)
    missing = workers_missing(state(cluster), cluster, spec)
    wanted = len(cluster.workers) + missing
    if missing and wanted > group.max_size:
        raise JobError(
            f"executors: {spec.executors}, each of {spec.cores} cores and {spec.memory} MiB",
            f"it needs {wanted} workers besides what other jobs use, and maxWorkers is {group.max_size}",
            f"Wait for these jobs (`fab status --stack {cluster.stack}`), or lower executors.",
        )
    return missing


def _give_back(cluster: Cluster, group: AutoScalingGroup, grown: Growth, state: State) -> str:
    """End workers that have come for the job and have no executor; return words about it."""
    from bootstrap.inventory.autoscaling import ACTIVE, look

    try:
        fleet = look(cluster, group)
        try:
            in_use = hosts_in_use(state(cluster))
        except CaffeSparkError:
            # Nobody tells which have executors: those do not that are no nodes yet.
            in_use = {one.report.name for one in fleet.members if one.report}
        active = [one for one in fleet.members if one.lifecycle in ACTIVE]
        new = [one for one in active if one.instance not in grown.members]
        free = [one.instance for one in new if not (one.report and one.report.name in in_use)]
        spare = grown.now - grown.before
        unlaunched = min(spare, max(0, fleet.desired_capacity - len(active)))
        before, now = shrink(group, free[: spare - unlaunched], unlaunched)
    except CaffeSparkError as error:
        return f"the group stays as it is until idleStop: {error.given}: {error.why}"
    stay = spare - (before - now)
    rest = f"; {stay} in use, or not known to be free, until idleStop" if stay > 0 else ""
    return f"the group goes back: {before} to {now}{rest}"


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

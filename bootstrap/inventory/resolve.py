"""Current nodes of a cluster: fixed nodes as the stack names them, others as they have reported."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from bootstrap.cluster import AutoScalingGroup, Cluster, ClusterDocument, Fixed, HdInsight, Node
from bootstrap.console import print_line
from bootstrap.errors import StackError

if TYPE_CHECKING:
    # importing boto3 takes a third of a second, which clusters of fixed nodes do not need
    from bootstrap.inventory.autoscaling import Fleet

PATIENCE: Final = 1800.0
"""Seconds to wait for machines: one boots in one or two minutes, and provisions itself in three to eight."""
POLL: Final = 10.0


def resolve(
    cluster: ClusterDocument,
    console: Console,
    *,
    wait: bool = True,
    patience: float = PATIENCE,
    stopped: bool = False,
    since: datetime | None = None,
) -> Cluster:
    """Return the declared cluster with its current workers and their host keys.

    With `wait`, bring back workers that were stopped, wait for machines that are starting, and print a line
    for each change. Missing capacity is reported with the cloud's own reason, and not waited for, unless
    there is no worker yet and the head has them come on demand (`fallbackAfter`). With `stopped`, a cluster
    whose workers are stopped is returned without workers; workers that could not join are not brought back.
    With `since`, the time from which a group has grown for a job, all workers that come on demand are waited
    for, and missing capacity of before is not reported.

    Raises:
        StackError: the group or cluster does not exist, the head is not up, or no worker is; or workers could
            not join (`bootstrap.inventory.joining.BrokenWorkers`).
        ConfigError, ServiceDown: the cloud refuses the request, or cannot be reached.
    """
    match cluster.members:
        case Fixed(workers=workers):
            return Cluster.of(cluster, workers=workers)
        case AutoScalingGroup() as group:
            fleet = _settled(
                cluster, group, console, wait=wait, patience=patience, stopped=stopped, since=since
            )
            return completed(cluster, fleet, stopped=stopped)
        case HdInsight():
            # importing Azure's clients takes a second, which other clusters do not need
            from bootstrap.inventory.hdinsight import resolve_hosts

            return resolve_hosts(
                cluster, lambda line: console.print(f"workers  {line}", soft_wrap=True, highlight=False)
            )


def _settled(
    cluster: ClusterDocument,
    group: AutoScalingGroup,
    console: Console,
    *,
    wait: bool,
    patience: float,
    stopped: bool,
    since: datetime | None,
) -> Fleet:
    """Return the group and its machines, with `wait` once they have settled; see `resolve`."""
    from bootstrap.inventory.autoscaling import look
    from bootstrap.inventory.joining import BrokenWorkers
    from bootstrap.inventory.spending import bring_back

    printed, brought = "", None
    deadline = time.monotonic() + patience + (group.fallback_seconds or 0)
    grown = since is not None
    while True:
        fleet = look(cluster, group, since)
        if wait and brought is None and fleet.desired_capacity == 0 and group.desired_capacity:
            try:
                brought = bring_back(cluster, group)
            except BrokenWorkers as error:
                if not stopped:
                    raise
                print_line(console, f"workers  {error.why}")
                return fleet
            print_line(console, f"workers  {brought.line}")
            fleet = look(cluster, group)
        if brought and brought.head_since and fleet.head and fleet.head.at < brought.head_since:
            # What it reported before it was stopped.
            fleet = replace(fleet, head=None)
        line = _line(fleet)
        if group.fallback_seconds and _falls_back(group, fleet, grown=grown) and fleet.refusals:
            line += f"; on demand after {group.fallback_seconds // 60} min: {fleet.refusals[0]}"
        if line != printed:
            console.print(f"workers  {line}", soft_wrap=True, highlight=False)
            printed = line
        settled = fleet.settled and not _falls_back(group, fleet, grown=grown)
        if not wait or time.monotonic() > deadline or settled:
            break
        time.sleep(POLL)
    for refusal in fleet.refusals[:1] if len(fleet.members) < fleet.desired_capacity else ():
        console.print(f"capacity {refusal}", style="yellow", soft_wrap=True, highlight=False, markup=False)
    return fleet


def _falls_back(group: AutoScalingGroup, fleet: Fleet, *, grown: bool) -> bool:
    """Return whether workers come on demand without whom nothing can be done: a job for which the group has
    grown needs all of them, others can begin with one."""
    head_is_up = fleet.head is not None and fleet.head.state == "ready"
    needed = fleet.desired_capacity if grown else min(1, fleet.desired_capacity)
    return bool(group.fallback_seconds and head_is_up and len(fleet.members) < needed)


def completed(cluster: ClusterDocument, fleet: Fleet, *, stopped: bool = False) -> Cluster:
    """Return the cluster with the nodes of this fleet; without workers if they are `stopped`. Pure.

    Raises:
        StackError: the head is not up, or no worker is; with the machines' or the cloud's own reason.
    """
    look_again = f"Run `fab workers --stack {cluster.stack}`, then rerun this command."
    head = fleet.head
    if head is None:
        raise StackError(
            f"the head of stack {cluster.stack!r} ({cluster.head.instance})",
            "it has not reported yet",
            f"A new machine takes a few minutes. {look_again}",
        )
    if head.state == "failed":
        raise StackError(
            f"the head of stack {cluster.stack!r} ({head.instance})",
            f"it could not provision itself: {head.said}",
            "It retries by itself, five times within an hour. For its log, run "
            f"{_log(cluster, head.instance)}.",
        )
    workers = tuple(
        Node(name=report.name, address=report.address, host_key=report.host_key)
        for member in sorted(fleet.ready, key=lambda member: member.instance)
        if (report := member.report)
    )
    at_zero = fleet.desired_capacity == 0 and not fleet.members
    if not workers and not (stopped and at_zero):
        reasons = [m.report.said for m in fleet.members if m.report and m.report.state == "failed"]
        raise StackError(
            f"the workers of stack {cluster.stack!r}",
            next(iter([*reasons, *fleet.refusals]), f"none is ready: {_line(fleet)}"),
            f"Run `fab workers --stack {cluster.stack}`, which has the reason." if at_zero else look_again,
        )
    head_node = Node.model_validate({**dict(cluster.head), "host_key": head.host_key})
    return Cluster.of(cluster, head=head_node, workers=workers)


def _log(cluster: ClusterDocument, instance: str) -> str:
    """Return the command that leads to the log of a boot."""
    if cluster.cloud_logs:
        return f"`{cluster.cloud_logs.tail(instance)}`"
    return f"`aws ssm start-session --target {instance}` and read /var/log/caffe-spark-boot.log"


def table(fleet: Fleet) -> Table:
    """Return the table of the group's members."""
    members = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("instance", "name", "type", "zone", "market", "lifecycle", "state", "framework"):
        members.add_column(name)
    for member in fleet.members:
        report = member.report
        members.add_row(
            member.instance,
            report.name if report else "",
            member.type,
            member.zone,
            member.market,
            member.lifecycle,
            member.state,
            report.framework if report else "",
        )
    return members


def _line(fleet: Fleet) -> str:
    """Summarize the states of head and members in one line."""
    states = [member.state for member in fleet.members]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states))]
    head = fleet.head.state if fleet.head else "starting"
    return f"head {head}; {', '.join(counts) or 'none'} of {fleet.desired_capacity}"

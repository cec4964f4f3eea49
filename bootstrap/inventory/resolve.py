"""Nodes of a cluster at this moment: fixed ones as the stack names them, others as they have reported."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from bootstrap.cluster import AutoScalingGroup, Cluster, ClusterDocument, Fixed, HdInsight, Node
from bootstrap.errors import StackError

if TYPE_CHECKING:
    # boto3 takes a third of a second, which clusters of fixed nodes need not pay
    from bootstrap.inventory.autoscaling import Fleet

PATIENCE: Final = 1800.0
"""Seconds: a machine boots in one or two minutes, and brings itself up in three to eight."""
POLL: Final = 10.0


def resolve(
    cluster: ClusterDocument, console: Console, *, wait: bool = True, patience: float = PATIENCE
) -> Cluster:
    """Make the declared cluster one whose nodes are known: with the host keys and workers of this moment.

    With `wait`, machines that are on their way are waited for, with a line for each change. Capacity that the
    cloud does not have is said in its own words, and not waited for.

    Raises:
        StackError: there is no such group or cluster, the head has not come up, or no worker has.
        ConfigError, ServiceDown: the cloud refuses, or cannot be reached.
    """
    match cluster.members:
        case Fixed(workers=workers):
            return Cluster.of(cluster, workers=workers)
        case AutoScalingGroup() as group:
            return _resolve_group(cluster, group, console, wait=wait, patience=patience)
        case HdInsight():
            # Azure's clients take a second, which other clusters need not pay
            from bootstrap.inventory.hdinsight import resolve_hosts

            return resolve_hosts(
                cluster, lambda line: console.print(f"workers  {line}", soft_wrap=True, highlight=False)
            )


def _resolve_group(
    cluster: ClusterDocument, group: AutoScalingGroup, console: Console, *, wait: bool, patience: float
) -> Cluster:
    from bootstrap.inventory.autoscaling import look

    told = ""
    deadline = time.monotonic() + patience
    while True:
        fleet = look(cluster, group)
        line = _line(fleet)
        if line != told:
            console.print(f"workers  {line}", soft_wrap=True, highlight=False)
            told = line
        if fleet.settled or not wait or time.monotonic() > deadline:
            break
        time.sleep(POLL)
    for refusal in fleet.refusals[:1] if len(fleet.members) < fleet.desired_capacity else ():
        console.print(f"capacity {refusal}", style="yellow", soft_wrap=True, highlight=False, markup=False)
    return completed(cluster, fleet)


def completed(cluster: ClusterDocument, fleet: Fleet) -> Cluster:
    """The cluster's document, filled in. Pure.

    Raises:
        StackError: the head has not come up, or no worker has; with the machines' or the cloud's own reason.
    """
    look_again = f"Run `fab workers --stack {cluster.stack}`, and the same command again."
    head = fleet.head
    if head is None:
        raise StackError(
            f"the head of stack {cluster.stack!r} ({cluster.head.instance})",
            "it has not reported yet",
            f"A new one takes a few minutes. {look_again}",
        )
    if head.state == "failed":
        raise StackError(
            f"the head of stack {cluster.stack!r} ({head.instance})",
            f"it could not bring itself up: {head.said}",
            "It tries again by itself, five times within the hour. "
            f"`aws ssm start-session --target {head.instance}` shows /var/log/caffe-spark-boot.log.",
        )
    workers = tuple(
        Node(name=m.report.name, address=m.report.address, host_key=m.report.host_key)
        for m in sorted(fleet.ready, key=lambda member: member.instance)
        if m.report
    )
    if not workers:
        reasons = [m.report.said for m in fleet.members if m.report and m.report.state == "failed"]
        raise StackError(
            f"the workers of stack {cluster.stack!r}",
            next(iter([*reasons, *fleet.refusals]), f"none is ready: {_line(fleet)}"),
            look_again,
        )
    here = Node.model_validate({**dict(cluster.head), "host_key": head.host_key})
    return Cluster.of(cluster, head=here, workers=workers)


def table(fleet: Fleet) -> Table:
    """The members as people see them."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("instance", "name", "type", "zone", "market", "lifecycle", "state", "framework"):
        shown.add_column(name)
    for member in fleet.members:
        report = member.report
        shown.add_row(
            member.instance,
            report.name if report else "",
            member.type,
            member.zone,
            member.market,
            member.lifecycle,
            member.state,
            report.framework if report else "",
        )
    return shown


def _line(fleet: Fleet) -> str:
    """How far everybody is, in one line."""
    states = [member.state for member in fleet.members]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states))]
    head = fleet.head.state if fleet.head else "starting"
    return f"head {head}; {', '.join(counts) or 'none'} of {fleet.desired_capacity}"

"""Spending of a stack: the account that its head keeps, or what its cloud tells; and stopped workers.

On AWS the head keeps the account, and stops workers at the stack's limits (role `spending`). HDInsight cannot
pause: there is the price of the whole cluster since its creation. On this machine nothing is billed.
"""

from __future__ import annotations

import math
import time
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from bootstrap.cluster import AutoScalingGroup, ClusterDocument, HdInsight, Limits
from bootstrap.errors import StackError
from bootstrap.inventory import fallback, joining
from bootstrap.inventory.account import Account, account, when
from bootstrap.money import Amount, hours_of

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

LATE_S: Final = 900.0
"""Seconds after which an account is told to be old: the head writes it every five minutes."""


def lines(cluster: ClusterDocument, now: float | None = None) -> list[str]:
    """Return the lines of `fab workers` about spending and limits.

    Raises:
        ConfigError, ServiceDown: the cloud refuses the request, or cannot be reached.
    """
    now = time.time() if now is None else now
    match cluster.members:
        case AutoScalingGroup(watched=True) as group:
            found = account(cluster, group)
            if found is None:
                return ["spent    not known yet: the head has written no account"]
            return account_lines(cluster, found, now)
        case HdInsight() as hdinsight if cluster.prices is not None:
            return whole_lines(cluster, _created(cluster, hdinsight), now)
        case _:
            return free_lines(cluster)


def account_lines(cluster: ClusterDocument, found: Account, now: float) -> list[str]:
    """Return the lines about an account. Pure."""
    limits, spent = cluster.limits or Limits(), found.spent
    of = f" of {limits.total} USD" if limits.total is not None else ""
    why = f": {spent.why}" if spent.why else ""
    hours = f"{found.worker_seconds / 3600:.1f} worker hours"
    rate = Amount(found.hourly, found.hourly, found.missing)
    now_text = "an unknown rate" if rate.unpriced else f"{rate.text}/h"
    shown = [f"spent    {spent.text}{of} since {when(found.since)}, {hours}; {now_text} now{why}"]
    if found.gap_seconds:
        minutes = found.gap_seconds / 60
        shown.append(f"         {minutes:.0f} min of it without a look, counted as if nothing had changed")
    if now - found.at > LATE_S and not found.head_stopped:
        shown.append(f"         as of {when(found.at)}: the head has written nothing since; run `fab doctor`")
    if isinstance(cluster.members, AutoScalingGroup):
        shown += fallback.lines(cluster.members, found)
    if found.failures and found.why != joining.JOINING:
        shown.append(f"joining  {joining.in_words(found)}")
    if found.state != "running":
        shown.append(f"{found.state:<8} {found.said}, {when(found.changed)}; {_next(cluster, found)}")
    elif limits.idle_seconds:
        minutes = max(0.0, now - found.idle_since) / 60
        after = f"after {limits.idle_seconds // 60} min"
        shown.append(f"idle     {minutes:.0f} min; {_at_rest(cluster)} {after}")
    if found.failures:
        shown.append(f"log      {joining.log_command(cluster, found)}")
    return shown


def whole_lines(cluster: ClusterDocument, created: float | None, now: float) -> list[str]:
    """Return the lines about a cluster that is billed whole and cannot pause. Pure."""
    if cluster.prices is None:
        return []
    limits, hourly = cluster.limits or Limits(), cluster.prices.hourly(cluster.worker_count)
    staying = f"HDInsight cannot pause, and staying costs {hourly.text} an hour ({(hourly * 24).text} a day)"
    if created is None:
        return [f"spent    not known: Azure has not told when the cluster was created; {staying}"]
    spent = hourly * hours_of(max(0.0, now - created))
    of = f" of {limits.total} USD" if limits.total is not None else ""
    shown = [f"spent    {spent.text}{of} since {when(created)}; {hourly.text} an hour"]
    if limits.total is not None and spent.high >= limits.total:
        end = f"`pulumi destroy --stack {cluster.stack}` ends it; to go on, {_raise(cluster)}"
        shown.append(f"budget   it is spent, and nothing was stopped: {staying}; {end}")
    elif limits.total is not None and hourly.missing:
        new = f"`fab cost --refresh --stack {cluster.stack}`, then `pulumi up --stack {cluster.stack}`"
        shown.append(f"budget   what is spent is not known in full: {hourly.why}; {new} for current prices")
    return shown


def free_lines(cluster: ClusterDocument) -> list[str]:
    """Return the line about limits where nothing is billed; none without limits. Pure."""
    if cluster.limits is None or cluster.prices is None or not cluster.prices.free:
        return []
    return ["spent    nothing: this machine is not billed, and its workers are not stopped"]


class Brought(NamedTuple):
    """Workers that were brought back: a line about it, and when the head was started, if it was."""

    line: str
    head_since: datetime | None


def bring_back(cluster: ClusterDocument, group: AutoScalingGroup, *, resume: bool = False) -> Brought:
    """Bring back the workers that the head has stopped, and the head.

    Those that could not join come back only with `resume`: they would fail again, at the same price.

    Raises:
        joining.BrokenWorkers: they could not join.
        StackError: the budget is spent; or it was not the head that has stopped them.
        ConfigError, ServiceDown: AWS refuses the request, or cannot be reached.
    """
    from bootstrap.clouds import aws

    found = account(cluster, group) if group.watched else None
    if found is None or found.state != "stopped":
        by_hand = (
            f"aws autoscaling update-auto-scaling-group --auto-scaling-group-name {group.name} "
            f"--min-size {group.min_size} --desired-capacity {group.desired_capacity} --region {group.region}"
        )
        raise StackError(
            f"the workers of stack {cluster.stack!r}",
            f"the group {group.name} has a size of 0, which the stack's own limits did not set",
            f"Run `{by_hand}` to bring them back.",
        )
    total = cluster.limits.total if cluster.limits else None
    if total is not None and found.usd >= total:
        raise StackError(
            f"the workers of stack {cluster.stack!r}",
            f"they are stopped: {found.spent.text} are spent since {when(found.since)}, of {total} USD",
            f"To go on, {_raise(cluster)}, then rerun this command.",
        )
    if found.why == joining.JOINING and not resume:
        raise joining.BrokenWorkers(
            f"the workers of stack {cluster.stack!r}",
            f"they are stopped: {found.said}",
            joining.remedy(cluster, found),
        )
    session = aws.session()
    with aws.translate_errors(f"bringing back the workers of {group.name}"):
        ec2 = session.client("ec2", region_name=group.region, config=aws.RETRY)
        since = _start(ec2, cluster.head.instance) if found.head_stopped else None
        scaling = session.client("autoscaling", region_name=group.region, config=aws.RETRY)
        scaling.update_auto_scaling_group(
            AutoScalingGroupName=group.name,
            MinSize=group.min_size,
            DesiredCapacity=group.desired_capacity,
        )
    line = f"they were stopped: {found.said}; bringing back {group.desired_capacity}"
    if since is not None:
        line += ", and the head"
        if cluster.head.ssh_target != cluster.head.instance:
            line += f", whose public address changes: `pulumi up --refresh --stack {cluster.stack}` reads it"
    return Brought(line, since)


def _start(ec2: EC2Client, instance: str) -> datetime | None:
    """Start a stopped machine; return when, or None if it was not stopped."""
    answer = ec2.describe_instances(InstanceIds=[instance])
    states = [one["State"].get("Name") for some in answer["Reservations"] for one in some["Instances"]]
    if not states or states[0] not in ("stopping", "stopped"):
        return None
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance])
    since = datetime.now(timezone.utc)
    ec2.start_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    return since


def _next(cluster: ClusterDocument, found: Account) -> str:
    if found.state == "stopping":
        return "jobs take their snapshots, then workers stop"
    limits = cluster.limits or Limits()
    if limits.total is not None and found.usd >= limits.total:
        return f"to go on, {_raise(cluster)}, then `fab resume JOB --stack {cluster.stack}`"
    head = "; the head is stopped too" if found.head_stopped else ""
    if found.why == joining.JOINING:
        return f"fix that, then `fab workers --resume --stack {cluster.stack}` brings them back{head}"
    return f"the next `fab submit` or `fab resume` brings them back{head}"


def _at_rest(cluster: ClusterDocument) -> str:
    """Return what becomes of workers when nothing runs."""
    group = cluster.members
    if isinstance(group, AutoScalingGroup) and group.scales and group.min_size:
        return f"the group shrinks to {group.min_size}"
    return "workers stop"


def _raise(cluster: ClusterDocument) -> str:
    """Return the commands that raise the budget."""
    total = cluster.limits.total if cluster.limits else None
    more = math.ceil((total or Decimal(1)) * 2)
    raises = f"`pulumi config set --path budget.total {more} --stack {cluster.stack}`"
    return f"raise it ({raises}), apply that (`pulumi up --stack {cluster.stack}`)"


def _created(cluster: ClusterDocument, hdinsight: HdInsight) -> float | None:
    """Return when the cluster was created, in seconds since the epoch; None if Azure does not say."""
    # importing Azure's clients takes a second
    from bootstrap.clouds import azure

    with azure.translate_errors(f"looking at HDInsight cluster {hdinsight.name}", cluster.stack):
        client = azure.management(hdinsight, azure.FAIL_FAST)
        found = client.clusters.get(hdinsight.resource_group, hdinsight.name)
    text = (found.properties.created_date or "") if found.properties else ""
    try:
        return datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None

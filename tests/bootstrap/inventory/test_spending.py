"""Spending as `fab workers` tells it, and workers that were stopped: pure, and against moto."""

from __future__ import annotations

import io
import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import boto3
import pytest
from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import S3, AutoScalingGroup, ClusterDocument, HdInsight, Limits, NodePrice, Prices
from bootstrap.errors import StackError
from bootstrap.inventory import resolve as discover
from bootstrap.inventory import spending
from bootstrap.inventory.account import Account, account
from bootstrap.inventory.autoscaling import Fleet, Report
from bootstrap.inventory.joining import BrokenWorkers, finding
from bootstrap.inventory.spending import account_lines, bring_back, whole_lines
from tests.bootstrap.hdinsight_cluster import arm, hdinsight
from tests.cloud.arm import Arm
from tests.cloud.aws_account import REGION, add_group, aws_account, read_once
from tests.conftest import HOST_KEY

__all__ = ["arm", "aws_account", "hdinsight", "read_once"]

BUCKET = "bucket"
GROUP = AutoScalingGroup(
    name="caffe-spark-aws-workers", region=REGION, desired_capacity=1, min_size=1, watched=True
)
SINCE = datetime(2026, 11, 30, 9, 0, tzinfo=timezone.utc).timestamp()
HOUR = 3600.0


def price(role: Any, usd: str, **rest: Any) -> NodePrice:
    return NodePrice(role=role, type="x", low=Decimal(usd), high=Decimal(usd), **rest)


PRICES = Prices(nodes=(price("head", "0.2"), price("worker", "0.5")), source="a table")


def document(base: dict[str, object], **changes: Any) -> ClusterDocument:
    head = {"name": "head", "address": "10.9.8.10", "ssh_target": "i-head", "instance": "i-head"}
    given = {
        "head": head,
        "members": GROUP,
        "storage": S3(uri=f"s3a://{BUCKET}", region=REGION),
        "prices": PRICES,
        "limits": Limits(total=Decimal(20), idle_seconds=1800),
        **changes,
    }
    return ClusterDocument.model_validate({**base, **given})


def kept(**changes: Any) -> Account:
    given = {
        "version": 1,
        "since": SINCE,
        "at": SINCE + HOUR,
        "usd": "12.345",
        "hourly": "1.2",
        "worker_seconds": 7200.0,
        "state": "running",
        "idle_since": SINCE + HOUR - 600,
        "changed": SINCE + HOUR,
    }
    return Account.model_validate({**given, **changes})


def test_an_account_tells_what_was_spent_of_what_and_since_when(cluster_document: dict[str, object]) -> None:
    assert account_lines(document(cluster_document), kept(), SINCE + HOUR) == [
        "spent    12.34 USD of 20 USD since 2026-11-30 09:00 UTC, 2.0 worker hours; 1.20 USD/h now",
        "idle     10 min; workers stop after 30 min",
    ]


def test_what_is_missing_old_or_was_not_looked_at_is_told(cluster_document: dict[str, object]) -> None:
    found = kept(missing=["g5.xlarge (spot)"], gap_seconds=1200.0)
    shown = account_lines(document(cluster_document, limits=None), found, SINCE + 3 * HOUR)
    assert shown[0].startswith("spent    at least 12.34 USD since")
    assert "; at least 1.20 USD/h now: no price" in shown[0]
    assert shown[0].endswith(": no price of g5.xlarge (spot)")
    assert "20 min of it without a look" in shown[1]
    assert "the head has written nothing since; run `fab doctor`" in shown[2]


def test_a_rate_of_which_nothing_is_known_is_not_nothing(cluster_document: dict[str, object]) -> None:
    found = kept(missing=["g5.xlarge (spot)"], hourly="0", usd="0")
    shown = account_lines(document(cluster_document, limits=None), found, SINCE + HOUR)
    assert shown[0].startswith("spent    unknown since")
    assert "; an unknown rate now: no price of g5.xlarge (spot)" in shown[0]


def test_stopped_workers_have_a_reason_and_a_next_command(cluster_document: dict[str, object]) -> None:
    cluster = document(cluster_document)
    spent = kept(usd="20.1", state="stopped", why="budget", said="the budget of 20 USD is spent")
    assert account_lines(cluster, spent, SINCE + HOUR)[-1] == (
        "stopped  the budget of 20 USD is spent, 2026-11-30 10:00 UTC; to go on, raise it "
        "(`pulumi config set --path budget.total 40 --stack dev`), apply that (`pulumi up --stack dev`), "
        "then `fab resume JOB --stack dev`"
    )
    idle = kept(state="stopped", why="idle", said="nothing has run for 30 min", head_stopped=True)
    assert account_lines(cluster, idle, SINCE + HOUR)[-1] == (
        "stopped  nothing has run for 30 min, 2026-11-30 10:00 UTC; the next `fab submit` or `fab resume` "
        "brings them back; the head is stopped too"
    )
    ending = kept(usd="20.1", state="stopping", said="the budget of 20 USD is spent")
    assert account_lines(cluster, ending, SINCE + HOUR)[-1].endswith(
        "jobs take their snapshots, then workers stop"
    )


NO_NUMPY = "framework k: ImportError: numpy of another version"
ROW: dict[str, Any] = {
    "failures": 3,
    "failed": NO_NUMPY,
    "failed_instance": "i-3",
    "log": f"{paths.NODES}/AROA:i-3/boot.log",
}
STOPPED: dict[str, Any] = {
    **ROW,
    "state": "stopped",
    "why": "joining",
    "said": f"3 workers in a row could not join; the last one, i-3: {NO_NUMPY}",
}
LOG = f"`aws s3 cp s3://{BUCKET}/{paths.NODES}/AROA:i-3/boot.log -`"


def test_workers_that_could_not_join_have_a_reason_a_log_and_a_next_command(
    cluster_document: dict[str, object],
) -> None:
    assert account_lines(document(cluster_document), kept(**STOPPED), SINCE + HOUR)[1:] == [
        f"stopped  3 workers in a row could not join; the last one, i-3: {NO_NUMPY}, 2026-11-30 10:00 UTC; "
        "fix that, then `fab workers --resume --stack dev` brings them back",
        f"log      {LOG}",
    ]


def test_workers_that_fail_to_join_are_told_before_the_group_goes_to_zero(
    cluster_document: dict[str, object],
) -> None:
    cluster = document(cluster_document, limits=None)
    assert account_lines(cluster, kept(**{**ROW, "failures": 2}), SINCE + HOUR)[1:] == [
        f"joining  2 workers in a row could not join; the last one: i-3: {NO_NUMPY}",
        f"log      {LOG}",
    ]
    assert account_lines(cluster, kept(**{**ROW, "failures": 1}), SINCE + HOUR)[1:] == [
        f"joining  1 worker could not join: i-3: {NO_NUMPY}",
        f"log      {LOG}",
    ]


def test_a_worker_that_has_left_no_log_leads_to_its_console(cluster_document: dict[str, object]) -> None:
    cluster = document(cluster_document, limits=None)
    assert account_lines(cluster, kept(**{**ROW, "log": ""}), SINCE + HOUR)[-1] == (
        "log      it has left none; within an hour of its end, "
        f"`aws ec2 get-console-output --instance-id i-3 --region {REGION} --output text`"
    )


def test_a_worker_that_has_left_no_log_may_have_sent_it(cluster_document: dict[str, object]) -> None:
    logs = {"group": "caffe-spark/dev", "region": REGION}
    cluster = document(cluster_document, limits=None, cloud_logs=logs)
    assert account_lines(cluster, kept(**{**ROW, "log": ""}), SINCE + HOUR)[-1] == (
        f"log      `aws logs tail caffe-spark/dev --log-stream-name-prefix i-3/ --since 1d --region {REGION}`"
    )


def test_a_group_that_scales_tells_how_small_it_becomes(cluster_document: dict[str, object]) -> None:
    members = GROUP.model_copy(update={"scales": True, "max_size": 4})
    idle = account_lines(document(cluster_document, members=members), kept(), SINCE + HOUR)[1]
    assert idle == "idle     10 min; the group shrinks to 1 after 30 min"


def test_workers_on_demand_for_want_of_spot_are_told(cluster_document: dict[str, object]) -> None:
    members = GROUP.model_copy(update={"fallback_seconds": 600})
    cluster = document(cluster_document, limits=None, members=members)
    (line,) = account_lines(cluster, kept(fallback=1, fallback_at=SINCE, dry="no capacity"), SINCE + HOUR)[1:]
    assert line.startswith("spot     1 worker on demand in its place, as of 2026-11-30 09:00 UTC")


@pytest.fixture
def whole(cluster_document: dict[str, object]) -> ClusterDocument:
    members = HdInsight(
        subscription="s", resource_group="g", name="c", region="westeurope", artifacts="a", worker_count=3
    )
    nodes = (price("head", "0.5", count=2), price("worker", "1", count=3, max_count=4))
    prices = Prices(nodes=nodes, whole=True, source="a table")
    return document(cluster_document, members=members, prices=prices)


def test_a_cluster_that_cannot_pause_tells_what_staying_costs_and_stops_nothing(
    whole: ClusterDocument,
) -> None:
    assert whole_lines(whole, SINCE, SINCE + 2 * HOUR) == [
        "spent    8.00 to 10.00 USD of 20 USD since 2026-11-30 09:00 UTC; 4.00 to 5.00 USD an hour"
    ]
    last = whole_lines(whole, SINCE, SINCE + 4 * HOUR)[-1]
    assert last.startswith(
        "budget   it is spent, and nothing was stopped: HDInsight cannot pause, and staying "
    )
    assert "4.00 to 5.00 USD an hour (96.00 to 120.00 USD a day)" in last
    assert "`pulumi destroy --stack dev` ends it" in last


def test_a_budget_that_cannot_be_compared_in_full_says_so(whole: ClusterDocument) -> None:
    assert whole.prices is not None
    nodes = (*whole.prices.nodes, NodePrice(role="zookeeper", type="A2"))
    unpriced = whole.model_copy(update={"prices": whole.prices.model_copy(update={"nodes": nodes})})
    first, last = whole_lines(unpriced, SINCE, SINCE + 2 * HOUR)
    assert first.startswith("spent    at least 8.00 to 10.00 USD of 20 USD since")
    assert last.startswith("budget   what is spent is not known in full: no price of A2 on demand; `fab cost")
    assert "`pulumi up --stack dev` for current prices" in last


def test_a_cluster_of_unknown_age_has_spent_what_nobody_knows(whole: ClusterDocument) -> None:
    (line,) = whole_lines(whole, None, SINCE)
    assert line.startswith("spent    not known: Azure has not told when the cluster was created")


@pytest.mark.parametrize(
    ("created", "line"),
    [
        ("2026-11-30T09:00:00.267", "spent    4.00 to 5.00 USD since 2026-11-30 09:00 UTC; "),
        ("", "spent    not known: Azure has not told when the cluster was created; "),
        ("yesterday", "spent    not known: Azure has not told when the cluster was created; "),
    ],
)
def test_azure_says_since_when_a_cluster_costs(
    created: str, line: str, hdinsight: ClusterDocument, arm: Arm, whole: ClusterDocument
) -> None:
    arm.created = created
    cluster = hdinsight.model_copy(update={"prices": whole.prices})
    (said,) = spending.lines(cluster, SINCE + HOUR)
    assert said.startswith(line)


def test_a_machine_that_nobody_bills_says_so_only_where_limits_are_set(
    cluster_document: dict[str, object],
) -> None:
    free = Prices(nodes=(price("head", "0"), price("worker", "0")), source="this machine")
    given = {**cluster_document, "prices": free}
    assert spending.lines(ClusterDocument.model_validate(given)) == []
    limited = ClusterDocument.model_validate({**given, "limits": Limits(total=Decimal(1))})
    assert spending.lines(limited) == [
        "spent    nothing: this machine is not billed, and its workers are not stopped"
    ]
    assert spending.lines(ClusterDocument.model_validate(cluster_document)) == []


# ---- against moto


@pytest.fixture
def stopped(aws_account: None) -> None:
    """A bucket, and a group of size 0."""
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    add_group(boto3.client("autoscaling", region_name=REGION), GROUP.name)


def writes(**changes: Any) -> None:
    body = kept(**changes).model_dump_json().encode()
    boto3.client("s3", region_name=REGION).put_object(Bucket=BUCKET, Key=paths.SPENDING, Body=body)


def sizes() -> tuple[int, int]:
    found = boto3.client("autoscaling", region_name=REGION).describe_auto_scaling_groups()
    (group,) = found["AutoScalingGroups"]
    return group["MinSize"], group["DesiredCapacity"]


def test_an_account_is_read_from_the_bucket_or_is_not_there(
    cluster_document: dict[str, object], stopped: None
) -> None:
    cluster = document(cluster_document)
    assert account(cluster, GROUP) is None
    assert spending.lines(cluster) == ["spent    not known yet: the head has written no account"]
    writes()
    assert account(cluster, GROUP) == kept()
    body = json.dumps({"version": 9}).encode()
    boto3.client("s3", region_name=REGION).put_object(Bucket=BUCKET, Key=paths.SPENDING, Body=body)
    assert account(cluster, GROUP) is None


def test_workers_that_were_idle_come_back_with_the_groups_own_sizes(
    cluster_document: dict[str, object], stopped: None
) -> None:
    writes(state="stopped", why="idle", said="nothing has run for 30 min")
    brought = bring_back(document(cluster_document), GROUP)
    assert brought == ("they were stopped: nothing has run for 30 min; bringing back 1", None)
    assert sizes() == (1, 1)


def test_workers_that_could_not_join_come_back_only_when_somebody_says_so(
    cluster_document: dict[str, object], stopped: None
) -> None:
    writes(**STOPPED)
    cluster = document(cluster_document)
    with pytest.raises(BrokenWorkers) as refused:
        bring_back(cluster, GROUP)
    assert refused.value.why == f"they are stopped: {STOPPED['said']}"
    assert refused.value.fix.startswith(f"Read its log ({LOG}) and fix the cause")
    assert refused.value.fix.endswith(", then run `fab workers --resume --stack dev`.")
    assert sizes() == (0, 0)
    assert bring_back(cluster, GROUP, resume=True).line.endswith("; bringing back 1")
    assert sizes() == (1, 1)


def test_a_spent_budget_holds_also_for_those_who_resume(
    cluster_document: dict[str, object], stopped: None
) -> None:
    writes(**{**STOPPED, "usd": "20.00"})
    with pytest.raises(StackError, match="USD are spent"):
        bring_back(document(cluster_document), GROUP, resume=True)
    assert sizes() == (0, 0)


def test_doctor_finds_workers_that_could_not_join(cluster_document: dict[str, object], stopped: None) -> None:
    cluster = document(cluster_document)
    assert finding(cluster) is None
    writes()
    assert finding(cluster) is None
    writes(**{**ROW, "failures": 1})
    found = finding(cluster)
    assert found is not None
    assert (found.node, found.ok) == ("head", False)
    assert found.detail == f"1 worker could not join: i-3: {NO_NUMPY}"
    assert "--resume" not in found.fix, "nothing is stopped"
    writes(**STOPPED)
    found = finding(cluster)
    assert found is not None
    assert LOG in found.fix
    assert "`fab workers --resume --stack dev`" in found.fix
    assert finding(ClusterDocument.model_validate(cluster_document)) is None


def test_workers_of_a_spent_budget_do_not_come_back_before_it_is_raised(
    cluster_document: dict[str, object], stopped: None
) -> None:
    writes(usd="20.00", state="stopped", why="budget", said="the budget of 20 USD is spent")
    with pytest.raises(StackError) as refused:
        bring_back(document(cluster_document), GROUP)
    assert refused.value.why == "they are stopped: 20.00 USD are spent since 2026-11-30 09:00 UTC, of 20 USD"
    assert "`pulumi config set --path budget.total 40 --stack dev`" in refused.value.fix
    assert "`pulumi up --stack dev`" in refused.value.fix
    assert sizes() == (0, 0)
    bring_back(document(cluster_document, limits=Limits(total=Decimal(40))), GROUP)
    assert sizes() == (1, 1)


@pytest.mark.parametrize("state", ["running", None])
def test_a_group_that_somebody_else_has_emptied_is_left_alone(
    state: str | None, cluster_document: dict[str, object], stopped: None
) -> None:
    if state:
        writes(state=state)
    with pytest.raises(StackError, match="which the stack's own limits did not set") as refused:
        bring_back(document(cluster_document), GROUP)
    assert f"--auto-scaling-group-name {GROUP.name} --min-size 1 --desired-capacity 1" in refused.value.fix
    assert sizes() == (0, 0)


def test_a_stopped_head_is_started_first(
    cluster_document: dict[str, object], stopped: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ec2 = boto3.client("ec2", region_name=REGION)
    head = ec2.run_instances(ImageId="ami-0cccccccccccccccc", MinCount=1, MaxCount=1)["Instances"][0][
        "InstanceId"
    ]
    ec2.stop_instances(InstanceIds=[head])
    writes(state="stopped", why="idle", said="nothing has run for 30 min", head_stopped=True)
    node = {"name": "head", "address": "10.9.8.10", "ssh_target": "203.0.113.9", "instance": head}
    brought = bring_back(document(cluster_document, head=node), GROUP)
    assert brought.head_since is not None
    assert "and the head, whose public address changes: `pulumi up --refresh --stack dev`" in brought.line
    (shown,) = ec2.describe_instances(InstanceIds=[head])["Reservations"]
    assert shown["Instances"][0]["State"]["Name"] == "running"


def fleet(head: Report | None, desired: int) -> Fleet:
    return Fleet(head, (), desired, ())


def report(at: datetime) -> Report:
    return Report(
        version=1,
        instance="i-head",
        name="head",
        address="10.9.8.10",
        host_key=HOST_KEY,
        state="ready",
        said="",
        framework="",
        at=at,
    )


def test_a_cluster_whose_workers_are_stopped_is_one_without_workers_for_those_who_need_none(
    cluster_document: dict[str, object],
) -> None:
    cluster, at_zero = document(cluster_document), fleet(report(datetime.now(timezone.utc)), 0)
    assert discover.completed(cluster, at_zero, stopped=True).workers == ()
    with pytest.raises(StackError, match="Run `fab workers --stack dev`, which has the reason"):
        discover.completed(cluster, at_zero)
    with pytest.raises(StackError):
        discover.completed(cluster, fleet(at_zero.head, 2), stopped=True)


def test_a_command_that_needs_workers_brings_them_back_and_waits_for_the_heads_new_report(
    cluster_document: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    since = datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc)
    stale = report(datetime(2026, 11, 30, 9, 0, tzinfo=timezone.utc))
    looks = [fleet(stale, 0), fleet(stale, 1), fleet(stale, 1), fleet(report(since), 0)]
    monkeypatch.setattr("bootstrap.inventory.autoscaling.look", lambda *_: looks.pop(0))
    monkeypatch.setattr(spending, "bring_back", lambda *_: spending.Brought("bringing back 1", since))
    monkeypatch.setattr(discover, "POLL", 0)
    found = discover.resolve(document(cluster_document), Console(quiet=True), stopped=True)
    assert (found.workers, looks) == ((), [])


def test_a_command_that_needs_workers_is_refused_where_they_could_not_join_and_another_one_goes_on(
    cluster_document: dict[str, object], stopped: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes(**STOPPED)
    head = report(datetime.now(timezone.utc))
    monkeypatch.setattr("bootstrap.inventory.autoscaling.look", lambda *_: fleet(head, 0))
    cluster = document(cluster_document)
    with pytest.raises(BrokenWorkers, match="could not join"):
        discover.resolve(cluster, Console(quiet=True))
    console = Console(file=io.StringIO(), width=300)
    found = discover.resolve(cluster, console, stopped=True)
    assert found.workers == ()
    assert STOPPED["said"] in console.file.getvalue()  # type: ignore[attr-defined]
    assert sizes() == (0, 0)


def test_a_command_that_does_not_wait_brings_nothing_back(
    cluster_document: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    head = report(datetime.now(timezone.utc))
    monkeypatch.setattr("bootstrap.inventory.autoscaling.look", lambda *_: fleet(head, 0))
    monkeypatch.setattr(spending, "bring_back", lambda *_: pytest.fail("nobody has asked for workers"))
    found = discover.resolve(document(cluster_document), Console(quiet=True), wait=False, stopped=True)
    assert found.workers == ()

"""The head's account against a cloud in memory, with AWS's recorded shapes of answers."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from bootstrap import paths
from bootstrap.cluster import NodePrice, Part, Prices
from bootstrap.inventory.account import Account
from bootstrap.join.on_node import aws, group, markets, spending, use
from bootstrap.join.on_node.account import Instance
from bootstrap.join.on_node.spending import ENDING, Keeper
from bootstrap.join.user_data import LAUNCH_HOOK
from jobs.trainer import contract

NAME = "caffe-spark-x-workers"
PRICES = Prices(
    nodes=(
        NodePrice(role="head", type="m6i.xlarge", low=Decimal("0.20"), high=Decimal("0.20")),
        NodePrice(role="worker", type="g4dn.xlarge", market="spot", low=Decimal("0.2"), high=Decimal("0.3")),
    ),
    fixed=(Part(what="NAT gateway", low=Decimal("0.05"), high=Decimal("0.05")),),
    source="a table",
)
GROUPS = """<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
<DescribeAutoScalingGroupsResult><AutoScalingGroups><member><Instances>{}</Instances>
<DesiredCapacity>{}</DesiredCapacity><MixedInstancesPolicy><LaunchTemplate><LaunchTemplateSpecification>
<LaunchTemplateId>lt-1</LaunchTemplateId><Version>7</Version></LaunchTemplateSpecification></LaunchTemplate>
<InstancesDistribution><OnDemandAllocationStrategy>prioritized</OnDemandAllocationStrategy>
<OnDemandBaseCapacity>{}</OnDemandBaseCapacity>
<OnDemandPercentageAboveBaseCapacity>0</OnDemandPercentageAboveBaseCapacity>
<SpotAllocationStrategy>price-capacity-optimized</SpotAllocationStrategy><SpotMaxPrice>0.8</SpotMaxPrice>
</InstancesDistribution></MixedInstancesPolicy></member></AutoScalingGroups></DescribeAutoScalingGroupsResult>
</DescribeAutoScalingGroupsResponse>"""
MEMBER = (
    "<member><InstanceId>i-{0}</InstanceId><InstanceType>g4dn.xlarge</InstanceType>"
    "<AvailabilityZone>eu-west-1a</AvailabilityZone><LifecycleState>{1}</LifecycleState></member>"
)
SPOT = """<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<spotPriceHistorySet>{}</spotPriceHistorySet></DescribeSpotPriceHistoryResponse>"""
ITEM = (
    "<item><instanceType>g4dn.xlarge</instanceType><availabilityZone>eu-west-1a</availabilityZone>"
    "<spotPrice>{0}</spotPrice><timestamp>{1}</timestamp></item>"
)

RUNNING = """<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item>
<instancesSet>{}</instancesSet></item></reservationSet></DescribeInstancesResponse>"""
EC2 = "<item><instanceId>i-{0}</instanceId>{1}</item>"
ACTIVITIES = """<DescribeScalingActivitiesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
<DescribeScalingActivitiesResult><Activities>{}</Activities></DescribeScalingActivitiesResult>
</DescribeScalingActivitiesResponse>"""
ACTIVITY = (
    "<member><StatusCode>Failed</StatusCode><StartTime>{0}</StartTime>"
    "<StatusMessage>{1}</StatusMessage></member>"
)
NONE_LEFT = (
    "Could not launch Spot Instances. UnfulfillableCapacity - There is no capacity available that matches "
    "your request. Launching EC2 instance failed."
)


class Cloud:
    """Objects of the bucket, the group, spot prices; and the head's own jobs."""

    def __init__(self, folder: Path) -> None:
        self.objects: dict[str, bytes] = {}
        self.desired = 2
        self.lifecycle = "InService"
        self.members: dict[str, str] | None = None
        """States by id, where they are not all the same."""
        self.base = 0
        self.on_demand: set[str] = set()
        """Ids of instances that are not spot."""
        self.refusals: list[tuple[str, str]] = []
        self.shares: list[dict[str, str]] = []
        self.abandoned: list[str] = []
        self.spot = [ITEM.format("0.100000", "2026-11-30T09:00:00.000Z")]
        self.jobs: list[str] = []
        self.busy = self.attended = False
        self.powered_off = 0
        self.refuses: set[str] = set()
        self.asked: list[dict[str, str]] = []
        self.account = folder / "spending.json"

    def call(
        self, service: str, url: str, method: str = "GET", body: bytes = b"", most: int | None = None
    ) -> bytes | None:
        if service in self.refuses:
            raise RuntimeError(f"{service}: 403 AccessDenied")
        if service == "s3":
            key = url.partition("/bucket/")[2]
            if method == "PUT":
                self.objects[key] = body
                return b""
            return self.objects.get(key)
        query = dict(parse_qsl(urlsplit(url).query))
        self.asked.append(query)
        if query["Action"] == "DescribeAutoScalingGroups":
            assert query["AutoScalingGroupNames.member.1"] == NAME
            members = "".join(MEMBER.format(name, state) for name, state in self.named.items())
            return GROUPS.format(members, self.desired, self.base).encode()
        if query["Action"] == "UpdateAutoScalingGroup":
            assert query["AutoScalingGroupName"] == NAME
            self._resize(query)
            return b"<UpdateAutoScalingGroupResponse/>"
        if query["Action"] == "CompleteLifecycleAction":
            assert self.desired == 0, "before that, the group would launch another one"
            assert (query["AutoScalingGroupName"], query["LifecycleHookName"]) == (NAME, LAUNCH_HOOK)
            assert query["LifecycleActionResult"] == "ABANDON"
            self.abandoned.append(query["InstanceId"])
            return b"<CompleteLifecycleActionResponse/>"
        return self._told(query)

    def _resize(self, query: dict[str, str]) -> None:
        """Take another on-demand share, or other sizes."""
        share = {name: text for name, text in query.items() if name.startswith("MixedInstancesPolicy.")}
        if not share:
            assert query["MinSize"] == "0"
            self.desired = int(query["DesiredCapacity"])
            return
        assert not {"MinSize", "MaxSize", "DesiredCapacity"} & set(query)
        self.shares.append(share)
        self.base = int(share["MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity"])

    def _told(self, query: dict[str, str]) -> bytes:
        if query["Action"] == "DescribeInstances":
            assert query["Filter.1.Name"] == "tag:aws:autoscaling:groupName"
            assert query["Filter.1.Value.1"] == NAME
            spot = "<instanceLifecycle>spot</instanceLifecycle>"
            items = (EC2.format(name, "" if name in self.on_demand else spot) for name in self.named)
            return RUNNING.format("".join(items)).encode()
        if query["Action"] == "DescribeScalingActivities":
            assert query["AutoScalingGroupName"] == NAME
            return ACTIVITIES.format("".join(ACTIVITY.format(*one) for one in self.refusals)).encode()
        assert query["Action"] == "DescribeSpotPriceHistory"
        return SPOT.format("".join(self.spot)).encode()

    @property
    def named(self) -> dict[str, str]:
        """States of the instances by id."""
        states = {str(number): self.lifecycle for number in range(self.desired)}
        return self.members if self.members is not None else states

    def limits(
        self, *, most_failures: int = 0, fallback: int | None = None, left: int = 0, **limits: Any
    ) -> None:
        self.objects[paths.LIMITS] = json.dumps(
            {
                "version": 1,
                "stack": "x",
                "prices": PRICES.model_dump(mode="json"),
                "limits": limits or None,
                "max_join_failures": most_failures,
                "worker_role": "AROA",
                "on_demand_base": 0,
                "on_demand_percentage": 0,
                "fallback_seconds": fallback,
                "idle_workers": left,
            }
        ).encode()

    @property
    def written(self) -> Account:
        """The account as `fab` reads it."""
        return Account.model_validate_json(self.objects[paths.SPENDING])


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    here = Cloud(tmp_path)
    settings = {
        "bucket_url": "https://s3/bucket",
        "autoscaling_url": "https://autoscaling",
        "ec2_url": "https://ec2",
        "group": NAME,
        "limits": paths.LIMITS,
        "spending": paths.SPENDING,
        "account": str(here.account),
        "stop_file": contract.STOP_FILE,
        "nodes": paths.NODES,
        "launch_hook": LAUNCH_HOOK,
    }
    monkeypatch.setattr(aws, "setting", lambda name: settings[name])
    monkeypatch.setattr(aws, "call", here.call)
    monkeypatch.setattr(spending, "running_jobs", lambda: here.jobs)
    monkeypatch.setattr(spending, "busy", lambda: here.busy)
    monkeypatch.setattr(spending, "attended", lambda: here.attended)

    def off(words: list[str]) -> None:
        assert words == ["systemctl", "poweroff"]
        here.powered_off += 1

    monkeypatch.setattr(subprocess, "check_call", off)
    here.limits()
    return here


def minutes(keeper: Keeper, first: int, last: int) -> None:
    for minute in range(first, last + 1):
        keeper.tick(minute * 60.0)


def spent(keeper: Keeper) -> Decimal:
    return round(Decimal(keeper.account["usd"]), 6)


def test_the_account_grows_by_the_price_of_the_group_at_each_look(cloud: Cloud) -> None:
    keeper = Keeper(0.0)
    minutes(keeper, 0, 60)
    # head and NAT 0.25, two workers at AWS's price of now
    assert round(cloud.written.usd, 6) == Decimal("0.45")
    assert (cloud.written.since, cloud.written.worker_seconds, cloud.written.state) == (
        0.0,
        7200.0,
        "running",
    )
    cloud.desired = 0
    minutes(keeper, 61, 120)
    # The minute before the change was still charged with workers.
    assert spent(keeper) == round(Decimal("0.45") + Decimal("0.25") + Decimal("0.2") / 60, 6)


def test_where_aws_does_not_tell_spot_prices_those_of_the_update_count(cloud: Cloud) -> None:
    cloud.refuses.add("ec2")
    minutes(keeper := Keeper(0.0), 0, 60)
    assert spent(keeper) == Decimal("0.85")


def test_the_newest_price_of_a_pool_counts(cloud: Cloud) -> None:
    cloud.spot = [
        ITEM.format("0.200000", "2026-11-30T09:30:00.000Z"),
        ITEM.format("0.100000", "2026-11-30T09:00:00.000Z"),
    ]
    assert group.spot_prices(["g4dn.xlarge"], 0.0) == {("g4dn.xlarge", "eu-west-1a"): Decimal("0.2")}
    assert cloud.asked[0]["ProductDescription.1"] == "Linux/UNIX"
    assert cloud.asked[0]["StartTime"] == "1970-01-01T00:00:00Z"


def test_prices_are_asked_for_once_an_hour(cloud: Cloud) -> None:
    minutes(Keeper(0.0), 0, 119)
    asked = [query for query in cloud.asked if query["Action"] == "DescribeSpotPriceHistory"]
    assert len(asked) == 2


def test_a_spent_budget_asks_jobs_to_end_and_then_stops_workers(cloud: Cloud) -> None:
    cloud.limits(total="0.10")
    cloud.jobs = ["mnist-1"]
    keeper = Keeper(0.0)
    minutes(keeper, 0, 13)
    assert keeper.account["state"] == "running"
    keeper.tick(14 * 60.0)
    assert cloud.objects[f"jobs/mnist-1/{contract.STOP_FILE}"].decode() == (
        "the budget of 0.10 USD is spent; to raise it: `pulumi config set --path budget.total 1 --stack x`, "
        "then `pulumi up --stack x`"
    )
    assert (cloud.written.state, cloud.desired) == ("stopping", 2)
    cloud.jobs = []
    keeper.tick(15 * 60.0)
    assert (cloud.written.state, cloud.written.why, cloud.desired) == ("stopped", "budget", 0)


def test_a_job_that_does_not_end_is_waited_for_no_longer_than_the_limit(cloud: Cloud) -> None:
    cloud.limits(total="0.10")
    cloud.jobs = ["mnist-1"]
    keeper = Keeper(0.0)
    last = 14 + ENDING // 60
    minutes(keeper, 0, last - 1)
    assert cloud.desired == 2
    keeper.tick(last * 60.0)
    assert cloud.desired == 0


def test_a_budget_that_is_raised_while_jobs_end_lets_workers_stay(cloud: Cloud) -> None:
    cloud.limits(total="0.10")
    cloud.jobs = ["mnist-1"]
    keeper = Keeper(0.0)
    minutes(keeper, 0, 14)
    assert cloud.written.state == "stopping"
    cloud.limits(total="20")
    keeper.tick(15 * 60.0)
    assert (cloud.written.state, cloud.desired) == ("running", 2)


def test_workers_that_come_back_without_a_higher_budget_are_stopped_again(cloud: Cloud) -> None:
    cloud.limits(total="0.10")
    keeper = Keeper(0.0)
    minutes(keeper, 0, 14)
    assert cloud.desired == 0
    cloud.desired = 2
    keeper.tick(15 * 60.0)
    assert (cloud.desired, cloud.written.state) == (0, "stopped")
    cloud.limits(total="20")
    cloud.desired = 2
    keeper.tick(16 * 60.0)
    assert (cloud.desired, cloud.written.state) == (2, "running")


def test_a_group_that_cannot_be_stopped_is_tried_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.limits(total="0.10")
    keeper = Keeper(0.0)
    minutes(keeper, 0, 13)
    stop = group.stop_workers

    def refused() -> None:
        raise RuntimeError("GET https://autoscaling: 403 AccessDenied")

    monkeypatch.setattr(spending, "stop_workers", refused)
    with pytest.raises(RuntimeError, match="403"):
        keeper.tick(14 * 60.0)
    monkeypatch.setattr(spending, "stop_workers", stop)
    keeper.tick(15 * 60.0)
    assert (cloud.desired, cloud.written.state) == (0, "stopped")


def test_workers_stop_when_nothing_has_run_for_the_time_of_idle_stop(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=1800)
    cloud.jobs = ["mnist-1"]
    keeper = Keeper(0.0)
    minutes(keeper, 0, 60)
    cloud.jobs = []
    minutes(keeper, 61, 89)
    assert cloud.desired == 2
    keeper.tick(90 * 60.0)
    assert (cloud.desired, cloud.written.why) == (0, "idle")
    assert cloud.written.said == "nothing has run for 30 min"


def test_provisioning_and_applications_that_are_no_jobs_count_as_use(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=1800)
    cloud.busy = True
    minutes(Keeper(0.0), 0, 120)
    assert cloud.desired == 2


def test_workers_that_were_brought_back_have_the_whole_time_again(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=1800)
    keeper = Keeper(0.0)
    minutes(keeper, 0, 30)
    assert cloud.desired == 0
    cloud.desired = 2
    minutes(keeper, 31, 60)
    assert (cloud.desired, keeper.account["state"]) == (2, "running")
    keeper.tick(61 * 60.0)
    assert cloud.desired == 0


def test_workers_that_still_boot_are_waited_for(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=600)
    cloud.lifecycle = "Pending:Wait"
    keeper = Keeper(0.0)
    minutes(keeper, 0, 20)
    cloud.lifecycle = "InService"
    minutes(keeper, 21, 29)
    assert cloud.desired == 2
    keeper.tick(30 * 60.0)
    assert cloud.desired == 0


def test_workers_that_never_join_are_not_waited_for_for_ever(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=600)
    cloud.lifecycle = "Pending:Wait"
    keeper = Keeper(0.0)
    minutes(keeper, 0, 68)
    assert cloud.desired == 2
    minutes(keeper, 69, 70)
    assert cloud.desired == 0


class Broken:
    """A group whose workers report a failure, and which replaces them after 30 minutes."""

    def __init__(self, cloud: Cloud, *others: str) -> None:
        self.cloud, self.others = cloud, dict.fromkeys(others, "InService")
        self.keeper, self.minute, self.number = Keeper(0.0), 0, 0

    def replaced(self) -> None:
        """The next worker starts, fails and ends."""
        self.number += 1
        name = f"broken{self.number}"
        key = f"{paths.NODES}/AROA:i-{name}"
        said = f"framework k: worker {self.number} has no numpy"
        self.cloud.objects[f"{key}/node.json"] = json.dumps({"state": "failed", "said": said}).encode()
        self.cloud.objects[f"{key}/boot.log"] = b"log"
        self.cloud.members = {**self.others, name: "Pending:Wait"}
        self.pass_(30)
        self.cloud.members = {**self.others, "next": "Pending:Wait"}
        self.pass_(1)

    def pass_(self, minutes: int) -> None:
        for _ in range(minutes):
            self.minute += 1
            self.keeper.tick(self.minute * 60.0)


def test_a_group_whose_workers_cannot_join_goes_to_zero_with_the_reason_and_the_log(cloud: Cloud) -> None:
    cloud.limits(most_failures=3)
    broken = Broken(cloud)
    broken.replaced()
    assert (cloud.written.failures, cloud.desired) == (1, 2)
    assert cloud.written.failed == "framework k: worker 1 has no numpy"
    broken.replaced()
    assert (cloud.written.state, cloud.desired) == ("running", 2)
    broken.replaced()
    written = cloud.written
    assert (written.state, written.why, cloud.desired) == ("stopped", "joining", 0)
    assert written.said == (
        "3 workers in a row could not join; the last one, i-broken3: framework k: worker 3 has no numpy"
    )
    assert written.log == f"{paths.NODES}/AROA:i-broken3/boot.log"
    assert cloud.abandoned == ["i-next"], "it would be billed until the hook's time is over"


def test_a_worker_that_joins_ends_the_row(cloud: Cloud) -> None:
    cloud.limits(most_failures=3)
    broken = Broken(cloud)
    broken.replaced()
    broken.replaced()
    cloud.members = {"good": "InService"}
    broken.pass_(1)
    assert (cloud.written.failures, cloud.written.failed) == (0, "")
    broken.replaced()
    broken.replaced()
    assert (cloud.written.failures, cloud.desired) == (2, 2)


def test_where_it_is_not_to_stop_the_group_replaces_workers_for_ever(cloud: Cloud) -> None:
    cloud.limits(most_failures=0)
    broken = Broken(cloud)
    for _ in range(5):
        broken.replaced()
    assert (cloud.written.failures, cloud.written.state, cloud.desired) == (5, "running", 2)


def test_jobs_go_on_with_workers_in_service_and_those_stop_after_them(cloud: Cloud) -> None:
    cloud.limits(most_failures=1)
    cloud.jobs = ["mnist-1"]
    broken = Broken(cloud, "good")
    broken.replaced()
    broken.pass_(60)
    assert (cloud.desired, cloud.written.state, cloud.written.failures) == (2, "running", 1)
    assert f"jobs/mnist-1/{contract.STOP_FILE}" not in cloud.objects
    cloud.jobs = []
    broken.pass_(1)
    assert (cloud.desired, cloud.written.why) == (0, "joining")


def test_jobs_without_any_worker_are_told_why_they_end(cloud: Cloud) -> None:
    cloud.limits(most_failures=1)
    cloud.jobs = ["mnist-1"]
    broken = Broken(cloud)
    broken.replaced()
    reason = cloud.objects[f"jobs/mnist-1/{contract.STOP_FILE}"].decode()
    assert reason.endswith("the last one, i-broken1: framework k: worker 1 has no numpy")
    assert cloud.desired == 2
    cloud.jobs = []
    broken.pass_(1)
    assert cloud.desired == 0


def test_workers_that_are_brought_back_have_all_their_attempts_again(cloud: Cloud) -> None:
    cloud.limits(most_failures=2)
    broken = Broken(cloud)
    broken.replaced()
    broken.replaced()
    cloud.members = {}
    broken.pass_(30)
    assert cloud.written.why == "joining"
    cloud.desired = 2
    broken.pass_(1)
    assert (cloud.written.state, cloud.written.failures, cloud.written.said) == ("running", 0, "")
    broken.replaced()
    assert cloud.desired == 2
    broken.replaced()
    assert cloud.desired == 0


def test_a_worker_that_has_not_reported_is_told_as_that(cloud: Cloud) -> None:
    cloud.limits(most_failures=1)
    broken = Broken(cloud)
    cloud.members = {"silent": "Pending:Wait"}
    broken.pass_(30)
    cloud.members = {}
    broken.pass_(1)
    assert cloud.written.said.endswith("i-silent: it has not said why in 25 min")
    assert (cloud.written.log, cloud.written.failed_instance) == ("", "i-silent")


def test_an_idle_head_stops_though_its_workers_could_not_join(cloud: Cloud) -> None:
    cloud.limits(most_failures=1, idle_seconds=7200, idle_head=True)
    broken = Broken(cloud)
    broken.replaced()
    cloud.members = {}
    broken.pass_(119)
    assert (cloud.powered_off, cloud.written.why) == (0, "joining")
    broken.pass_(1)
    assert cloud.powered_off == 1
    assert cloud.written.why == "joining"


def test_a_wait_that_cannot_be_ended_does_not_keep_the_group_from_going_to_zero(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: str) -> None:
        raise RuntimeError("403 AccessDenied: a policy of an earlier version")

    monkeypatch.setattr(spending, "abandon", refused)
    cloud.limits(most_failures=1)
    Broken(cloud).replaced()
    assert (cloud.desired, cloud.written.state) == (0, "stopped")


def test_failures_survive_a_reboot_and_a_clock_that_is_set(cloud: Cloud) -> None:
    cloud.limits(most_failures=2)
    broken = Broken(cloud)
    broken.replaced()
    broken.keeper = Keeper(broken.minute * 60.0)
    cloud.members = {"silent": "Pending:Wait"}
    broken.pass_(1)
    broken.keeper.shift(86400.0)
    cloud.members = {}
    broken.keeper.tick(broken.keeper.account["at"] + 60)
    assert (broken.keeper.account["failures"], cloud.desired) == (1, 2)


DEAR = Prices.model_validate(
    {
        **PRICES.model_dump(),
        "nodes": [
            *PRICES.nodes,
            NodePrice(role="worker", type="g4dn.xlarge", low=Decimal("0.6"), high=Decimal("0.6")),
        ],
    }
)


def test_workers_that_spot_does_not_have_come_on_demand_and_are_charged_as_that(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bootstrap.join.on_node.test_spending.PRICES", DEAR)
    cloud.limits(fallback=600)
    cloud.members = {"1": "InService"}
    cloud.refusals = [("1970-01-01T00:00:30.000Z", NONE_LEFT)]
    keeper = Keeper(0.0)
    minutes(keeper, 0, 10)
    assert (cloud.base, cloud.written.dry_since, cloud.written.dry) == (0, 60.0, NONE_LEFT)
    minutes(keeper, 11, 11)
    assert (cloud.base, cloud.written.fallback, cloud.written.fell_back) == (1, 1, 660.0)
    before = spent(keeper)
    cloud.members = {"1": "InService", "2": "InService"}
    cloud.on_demand = {"2"}
    minutes(keeper, 12, 12)
    # One minute at the last look's price, then an hour: head and NAT 0.25, spot 0.10, on demand 0.60.
    keeper.tick(12 * 60.0 + 3600)
    assert spent(keeper) - before == Decimal("0.95") + round(Decimal("0.35") / 60, 6)


def test_the_share_is_changed_and_nothing_else_of_the_group(cloud: Cloud) -> None:
    cloud.limits(fallback=600)
    cloud.members = {}
    cloud.refusals = [("1970-01-01T00:00:30.000Z", NONE_LEFT)]
    minutes(Keeper(0.0), 0, 11)
    assert cloud.shares == [
        {
            f"MixedInstancesPolicy.InstancesDistribution.{name}": text
            for name, text in {
                "OnDemandAllocationStrategy": "prioritized",
                "OnDemandBaseCapacity": "2",
                "OnDemandPercentageAboveBaseCapacity": "0",
                "SpotAllocationStrategy": "price-capacity-optimized",
                "SpotMaxPrice": "0.8",
            }.items()
        }
    ]


def test_a_share_that_an_update_took_back_is_set_again_within_a_minute(cloud: Cloud) -> None:
    cloud.limits(fallback=600)
    cloud.members = {}
    cloud.refusals = [("1970-01-01T00:00:30.000Z", NONE_LEFT)]
    keeper = Keeper(0.0)
    minutes(keeper, 0, 11)
    cloud.base = 0
    keeper.tick(12 * 60.0)
    assert cloud.base == 2


def test_workers_that_stop_come_back_on_spot_first(cloud: Cloud) -> None:
    cloud.limits(fallback=600, idle_seconds=1800)
    cloud.members = {"1": "InService"}
    cloud.refusals = [("1970-01-01T00:00:30.000Z", NONE_LEFT)]
    keeper = Keeper(0.0)
    minutes(keeper, 0, 31)
    assert (cloud.desired, cloud.base, cloud.written.why) == (0, 0, "idle")
    assert (cloud.written.fallback, cloud.written.returned) == (0, 1860.0)


def test_without_the_setting_nothing_is_asked_about_launches_and_no_share_is_set(cloud: Cloud) -> None:
    cloud.members = {}
    cloud.refusals = [("1970-01-01T00:00:30.000Z", NONE_LEFT)]
    minutes(Keeper(0.0), 0, 60)
    assert (cloud.base, cloud.shares) == (0, [])
    assert "DescribeScalingActivities" not in {query["Action"] for query in cloud.asked}


def test_a_refused_share_is_told_and_attempted_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("GET https://autoscaling: 403 AccessDenied ec2:RunInstances")

    cloud.limits(fallback=600)
    cloud.members = {}
    cloud.refusals = [("1970-01-01T00:00:30.000Z", NONE_LEFT)]
    keeper = Keeper(0.0)
    with monkeypatch.context() as patch:
        patch.setattr(markets, "set_on_demand_base", refused)
        minutes(keeper, 0, 12)
    assert (cloud.base, cloud.written.fallback_error[-29:]) == (0, "AccessDenied ec2:RunInstances")
    keeper.tick(13 * 60.0)
    assert (cloud.base, cloud.written.fallback_error) == (2, "")


def test_markets_that_ec2_does_not_tell_change_no_share_and_are_told(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> dict[str, str]:
        raise RuntimeError("GET https://ec2: 403 UnauthorizedOperation")

    monkeypatch.setattr(markets, "instance_markets", refused)
    cloud.limits(fallback=600)
    cloud.members = {"1": "InService"}
    cloud.refusals = [("1970-01-01T00:00:30.000Z", NONE_LEFT)]
    minutes(Keeper(0.0), 0, 20)
    assert (cloud.base, cloud.written.fallback) == (0, 0)
    assert cloud.written.fallback_error.startswith("EC2 has not told which workers are spot")


def test_a_worker_of_a_capacity_block_is_no_spot_worker(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = EC2.format("0", "<instanceLifecycle>capacity-block</instanceLifecycle>")
    monkeypatch.setattr(cloud, "_told", lambda _: RUNNING.format(item).encode())
    assert group.instance_markets() == {"i-0": "on-demand"}


def test_an_instance_that_ec2_does_not_list_yet_is_charged_as_on_demand() -> None:
    members = [
        Instance("i-1", "g4dn.xlarge", "a", "InService", "spot"),
        Instance("i-2", "g4dn.xlarge", "a", "Pending"),
    ]
    here = group.Group(2, members)
    assert markets.on_demand(here, members, {}) == 1
    untold = [one._replace(market="") for one in members]
    assert markets.on_demand(here._replace(instances=untold), untold, {"on_demand_base": 1}) == 1


def test_workers_that_aws_does_not_have_yet_are_waited_for(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=600)
    cloud.members = {}
    keeper = Keeper(0.0)
    minutes(keeper, 0, 40)
    assert cloud.desired == 2
    minutes(keeper, 41, 70)
    assert cloud.desired == 0, "not for ever"


def test_a_group_that_has_grown_for_a_job_shrinks_when_nothing_runs(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=1800, left=1)
    cloud.desired = 5
    cloud.jobs = ["mnist-1"]
    keeper = Keeper(0.0)
    minutes(keeper, 0, 60)
    cloud.jobs = []
    minutes(keeper, 61, 89)
    assert cloud.desired == 5
    minutes(keeper, 90, 90)
    assert (cloud.desired, cloud.written.state) == (1, "running")
    minutes(keeper, 91, 300)
    assert (cloud.desired, cloud.written.state, cloud.powered_off) == (1, "running", 0)
    cloud.desired = 3
    minutes(keeper, 301, 330)
    assert cloud.desired == 3, "whoever has made it larger wants to use it"
    minutes(keeper, 331, 332)
    assert cloud.desired == 1


def test_a_group_that_has_grown_goes_to_zero_where_the_stack_keeps_no_worker(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=1800, left=0)
    cloud.desired = 5
    minutes(Keeper(0.0), 0, 30)
    assert (cloud.desired, cloud.written.state, cloud.written.why) == (0, "stopped", "idle")


def test_a_spent_budget_stops_all_workers_also_those_that_would_be_left(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=1800, left=1, total="0.10")
    minutes(Keeper(0.0), 0, 60)
    assert (cloud.desired, cloud.written.why) == (0, "budget")


def test_an_idle_head_stays_on_while_somebody_is_connected(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=1800, idle_head=True)
    cloud.attended = True
    keeper = Keeper(0.0)
    minutes(keeper, 0, 120)
    assert (cloud.desired, cloud.powered_off) == (0, 0)
    cloud.attended = False
    keeper.tick(121 * 60.0)
    assert cloud.powered_off == 1


def test_a_clock_that_is_set_costs_nothing_and_stops_nobody(cloud: Cloud) -> None:
    cloud.limits(total="20", idle_seconds=1800)
    keeper = Keeper(0.0)
    minutes(keeper, 0, 10)
    before, year = spent(keeper), 365 * 86400.0
    for jump in (year, -year):
        keeper.shift(jump)
        keeper.tick(keeper.account["at"])
        assert (spent(keeper), keeper.account["state"], cloud.desired) == (before, "running", 2)
    minutes(keeper, 11, 29)
    assert cloud.desired == 2
    keeper.tick(1800.0)
    assert cloud.desired == 0


def test_the_program_follows_a_clock_that_is_set(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    class Enough(BaseException):
        """Ends the program's loop."""

    clock = {"time": 1000.0, "up": 10.0}

    def wait(seconds: float) -> None:
        clock["up"] += seconds
        clock["time"] += seconds
        if clock["up"] > 100:
            clock["time"] += 10 * 86400
        if clock["up"] > 400:
            raise Enough

    monkeypatch.setattr(time, "time", lambda: clock["time"])
    monkeypatch.setattr(time, "clock_gettime", lambda _: clock["up"])
    monkeypatch.setattr(time, "sleep", wait)
    with pytest.raises(Enough):
        spending.main()
    # Six minutes at 0.45 USD an hour, and not fifty days.
    assert Decimal(json.loads(cloud.account.read_text())["usd"]) == Decimal("0.045")


def test_an_idle_head_stops_after_its_last_worker_and_only_if_it_may(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=1800)
    keeper = Keeper(0.0)
    minutes(keeper, 0, 40)
    assert (cloud.desired, cloud.powered_off) == (0, 0)
    cloud.limits(idle_seconds=1800, idle_head=True)
    cloud.busy = True
    minutes(keeper, 41, 45)
    assert cloud.powered_off == 0
    cloud.busy = False
    minutes(keeper, 46, 75)
    assert cloud.powered_off == 1
    assert cloud.written.head_stopped


def test_a_head_that_was_stopped_is_charged_for_what_remained(cloud: Cloud) -> None:
    cloud.limits(idle_seconds=1800, idle_head=True)
    keeper = Keeper(0.0)
    minutes(keeper, 0, 31)
    assert cloud.powered_off == 1
    before = spent(keeper)
    again = Keeper(31 * 60.0 + 36000)
    again.tick(31 * 60.0 + 36000)
    # ten hours of the NAT gateway
    assert spent(again) - before == Decimal("0.5")
    assert (again.account["head_stopped"], again.account["gap_seconds"]) == (False, 0.0)
    assert cloud.powered_off == 1


def test_the_account_survives_a_reboot_and_another_head(cloud: Cloud) -> None:
    minutes(Keeper(0.0), 0, 60)
    rebooted = Keeper(3660.0)
    assert (spent(rebooted), rebooted.account["since"]) == (Decimal("0.45"), 0.0)
    cloud.account.unlink()
    replaced = Keeper(3720.0)
    replaced.tick(3720.0)
    # Two minutes without a look are not worth telling.
    assert spent(replaced) == Decimal("0.465")
    assert replaced.account["gap_seconds"] == 0.0


def test_a_full_disk_does_not_turn_the_account_back(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper(0.0)
    minutes(keeper, 0, 5)

    def full(_from: str, _to: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        for minute in range(6, 61):
            with pytest.raises(OSError, match="No space"):
                keeper.tick(minute * 60.0)
    assert spent(Keeper(3660.0)) == spent(keeper) == Decimal("0.45")


def test_without_the_bucket_the_account_of_the_machine_counts(cloud: Cloud) -> None:
    minutes(Keeper(0.0), 0, 60)
    cloud.refuses.add("s3")
    assert spent(Keeper(3660.0)) == Decimal("0.45")


def test_an_account_that_cannot_be_read_is_not_begun_anew(cloud: Cloud) -> None:
    minutes(Keeper(0.0), 0, 60)
    cloud.account.unlink()
    cloud.refuses.add("s3")
    with pytest.raises(RuntimeError, match="AccessDenied"):
        Keeper(3660.0)


def test_a_stack_that_has_no_limits_file_yet_is_left_alone(cloud: Cloud) -> None:
    del cloud.objects[paths.LIMITS]
    Keeper(0.0).tick(0.0)
    assert (cloud.asked, paths.SPENDING in cloud.objects) == ([], False)


def test_limits_that_cannot_be_read_for_a_while_stay_as_they_were(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.limits(total="20")
    keeper = Keeper(0.0)
    keeper.tick(0.0)
    cloud.objects[paths.LIMITS] = b"half a fi"
    keeper.tick(60.0)
    assert keeper.limits["limits"] == {"total": "20"}


# ---- what runs on the head


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    given = {
        "unit": paths.JOB_UNIT,
        "build_unit": paths.BUILD_UNIT,
        "convert_unit": paths.CONVERT_UNIT,
        "lock": str(tmp_path / "lock"),
        "master": "http://127.0.0.1:1/json/",
    }
    monkeypatch.setattr(aws, "setting", lambda name: given[name])
    units(tmp_path, monkeypatch)
    return given


def units(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """A systemctl that lists these units, of those that it is asked for."""
    systemctl = folder / "systemctl"
    lines = "".join(
        f"echo '{name}.service loaded active running x' | grep \"^${{last%\\*.service}}\"\n" for name in names
    )
    systemctl.write_text(f"#!/bin/sh\nfor last; do :; done\n{lines}echo\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_jobs_are_the_units_that_run(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("mnist-1", "Not_A_Job")
    units(tmp_path, monkeypatch, *(paths.JOB_UNIT + name for name in names), paths.BUILD_UNIT + "abc")
    assert use.running_jobs() == ["mnist-1"]


def test_a_machine_that_compiles_is_busy(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not use.busy()
    units(tmp_path, monkeypatch, paths.BUILD_UNIT + "abc")
    assert use.busy()


def test_a_machine_that_is_being_provisioned_is_busy(settings: dict[str, str]) -> None:
    assert not use.busy()
    with Path(settings["lock"]).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert use.busy()
    assert not use.busy()


@pytest.mark.parametrize(("apps", "busy"), [([], False), ([{"name": "somebody's"}], True)])
def test_an_application_on_spark_is_use(
    apps: list[Any], busy: bool, settings: dict[str, str], serve: Callable[[str], str]
) -> None:
    settings["master"] = serve(json.dumps({"activeapps": apps}))
    assert use.busy() is busy


@pytest.mark.parametrize("text", ["[]", "1", "null", "{}", "[" * 9999, "not json", '{"activeapps": null}'])
def test_what_stands_for_spark_cannot_keep_the_account_from_being_kept(
    text: str, settings: dict[str, str], serve: Callable[[str], str]
) -> None:
    settings["master"] = serve(text)
    assert not use.busy()


def test_what_stands_for_spark_cannot_fill_the_memory(
    settings: dict[str, str], serve: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use, "LISTED", 1000)
    settings["master"] = serve(json.dumps({"activeapps": ["x" * 2000]}))
    assert not use.busy()


def test_a_machine_that_converts_is_busy(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units(tmp_path, monkeypatch, paths.CONVERT_UNIT + "lmdb-1")
    assert use.busy()


@pytest.mark.parametrize(
    ("local", "state", "there"),
    [
        ("0100007F:0016", "01", True),
        ("0100007F:0016", "0A", False),  # listens
        ("0100007F:0016", "06", False),  # has ended
        ("0100007F:1F90", "01", False),  # another port
        ("0000000000000000FFFF00000100007F:0016", "01", True),
    ],
)
def test_whoever_is_connected_by_ssh_is_seen(
    local: str, state: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "tcp"
    head = "  sl  local_address rem_address   st tx_queue rx_queue\n"
    table.write_text(f"{head}   0: {local} 0200007F:0016 {state} 00000000:00000000 00:00000000\n")
    monkeypatch.setattr(use, "CONNECTIONS", (str(tmp_path / "none"), str(table)))
    assert use.attended() is there


@pytest.fixture
def serve() -> Any:
    """Serve a text on loopback; its URL."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    servers: list[ThreadingHTTPServer] = []

    def start(text: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """In silence."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/json/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def dry(cloud: Cloud) -> Keeper:
    """The head in the minute before it raises the on-demand base."""
    cloud.limits(fallback=600)
    cloud.members = {"1": "InService"}
    cloud.refusals = [("1970-01-01T00:00:30.000Z", NONE_LEFT)]
    keeper = Keeper(0.0)
    minutes(keeper, 0, 10)
    assert cloud.base == 0
    return keeper


REQUESTS = 9
"""Requests of the head in a minute in which it raises the base, or more."""


@pytest.mark.parametrize("told", range(REQUESTS))
@pytest.mark.parametrize("later", range(REQUESTS))
def test_a_fallback_that_up_has_ended_is_not_begun_again_whenever_that_falls(
    cloud: Cloud, dry: Keeper, monkeypatch: pytest.MonkeyPatch, told: int, later: int
) -> None:
    """`pulumi up` writes the limits before the head's request `told`, and the base `later` requests on."""
    asked = [0]

    def call(*arguments: Any, **named: Any) -> bytes | None:
        if asked[0] == told:
            cloud.limits()
        if asked[0] == told + later:
            cloud.base = 0
        asked[0] += 1
        return cloud.call(*arguments, **named)

    monkeypatch.setattr(aws, "call", call)
    minutes(dry, 11, 16)
    assert asked[0] > told + later
    assert (cloud.base, cloud.written.fallback) == (0, 0)


def test_a_head_that_ended_before_it_saw_the_end_of_the_fallback_takes_its_base_back(
    cloud: Cloud, dry: Keeper
) -> None:
    minutes(dry, 11, 11)
    assert cloud.base == 1
    cloud.limits()
    Keeper(720.0).tick(720.0)
    assert (cloud.base, cloud.written.fallback, cloud.written.returned) == (0, 0, 720.0)


def test_a_base_that_cannot_be_taken_back_is_told_and_attempted_again(
    cloud: Cloud, dry: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("autoscaling: 403 AccessDenied")

    minutes(dry, 11, 11)
    cloud.limits()
    with monkeypatch.context() as patch:
        patch.setattr(markets, "set_on_demand_base", refused)
        minutes(dry, 12, 12)
    assert (cloud.base, cloud.written.fallback_error) == (1, "autoscaling: 403 AccessDenied")
    minutes(dry, 13, 13)
    assert (cloud.base, cloud.written.fallback_error) == (0, "")

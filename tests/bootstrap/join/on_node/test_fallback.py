"""The on-demand share against a group that behaves as AWS documents it; pure."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.join.on_node.account import Instance, new, on_demand_of
from bootstrap.join.on_node.fallback import PAUSE, RECENT, Rule, dry, follow, rule, shift
from bootstrap.join.on_node.group import Group, Launch

MINUTE = 60.0
SPOT_IS_DRY = (
    "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request "
    "configuration. Please adjust your request and try again. Launching EC2 instance failed."
)
JOIN = 5
"""Minutes from a launch until a worker is in service."""


class Aws:
    """A group that is looked at once a minute, and the head that keeps its share.

    It launches what is missing, on demand up to its share, else on spot; with too many on demand it launches
    spot instances first, and terminates the others when these are in service.
    """

    def __init__(self, desired: int = 2, base: int = 0, percentage: int = 0, after: int = 600) -> None:
        self.desired, self.base = desired, base
        self.given = Rule(after, base, percentage)
        self.spot, self.on_demand, self.rebalances = True, True, True
        self.ages: dict[str, int] = {}
        self.activities: list[Launch] = []
        self.account: dict[str, Any] = new(0.0)
        self.minute = self.launched = 0
        self.terminated: list[str] = []

    @property
    def markets(self) -> list[str]:
        """Markets of the members, e.g. `["on-demand", "spot"]`."""
        return sorted(name.partition("_")[0] for name in self.ages)

    def wait(self, minutes: int) -> None:
        for _ in range(minutes):
            self.minute += 1
            self.ages = {name: age + 1 for name, age in self.ages.items()}
            self._scale()
            members = [
                Instance(name, "g4dn.xlarge", "a", "InService" if age >= JOIN else "Pending:Wait", market)
                for name, age in self.ages.items()
                for market in [name.partition("_")[0]]
            ]
            seen = Group(self.desired, members, self.base)
            self.base = follow(self.account, seen, self.activities[-20:], self.given, self.minute * MINUTE)

    def end(self, market: str) -> None:
        """A member of that market ends."""
        del self.ages[next(name for name in self.ages if name.startswith(market))]

    def _scale(self) -> None:
        target = on_demand_of(self.desired, self.base, self.given.percentage)
        while len(self.ages) < self.desired:
            if not self._launch("on-demand" if self._count("on-demand") < target else "spot"):
                break
        excess = self._count("on-demand") - target
        if not self.rebalances or excess <= 0:
            return
        fresh = len(self.ages) - self.desired
        if fresh > 0 and all(age >= JOIN for age in self.ages.values()):
            self.terminated.append("on-demand")
            self.end("on-demand")
        elif fresh <= 0:
            self._launch("spot")

    def _count(self, market: str) -> int:
        return self.markets.count(market)

    def _launch(self, market: str) -> bool:
        if not (self.spot if market == "spot" else self.on_demand):
            said = (
                SPOT_IS_DRY if market == "spot" else "Could not launch On-Demand Instances. VcpuLimitExceeded"
            )
            self.activities.append(Launch(self.minute * MINUTE, said))
            return False
        self.launched += 1
        self.ages[f"{market}_{self.launched}"] = 0
        return True


def test_missing_workers_come_on_demand_after_the_time_of_the_setting() -> None:
    aws = Aws(desired=3)
    aws.wait(10)
    assert aws.markets == ["spot"] * 3
    aws.spot = False
    aws.end("spot")
    aws.end("spot")
    aws.wait(10)
    assert (aws.base, aws.markets) == (0, ["spot"])
    aws.wait(2)
    assert (aws.base, aws.account["fallback"], aws.markets) == (2, 2, ["on-demand", "on-demand", "spot"])
    assert aws.account["dry"] == SPOT_IS_DRY


def test_spot_that_is_dry_for_less_raises_nothing() -> None:
    aws = Aws()
    aws.spot = False
    aws.wait(9)
    aws.spot = True
    aws.wait(30)
    assert (aws.base, aws.markets, aws.account["dry_since"], aws.account["dry"]) == (0, ["spot"] * 2, 0.0, "")


def test_the_share_goes_back_one_by_one_when_spot_returns_and_no_worker_is_missed() -> None:
    aws = Aws(desired=3)
    aws.spot = False
    aws.wait(20)
    assert aws.markets == ["on-demand"] * 3
    aws.spot = True
    seen = set()
    for _ in range(90):
        aws.wait(1)
        assert 3 <= len(aws.ages) <= 4
        seen.add(aws.base)
    assert seen == {3, 2, 1, 0}
    assert (aws.markets, aws.account["fallback"], aws.account["surplus"]) == (["spot"] * 3, 0, 0)
    assert aws.account["dry"] == ""


def test_an_attempt_that_aws_refuses_is_taken_back_and_ends_no_worker() -> None:
    aws = Aws()
    aws.spot = False
    seen = set()
    for _ in range(600):
        aws.wait(1)
        seen.add(aws.base)
    assert seen == {0, 1, 2}
    assert (aws.markets, aws.terminated, aws.account["trying"]) == (["on-demand"] * 2, [], 0.0)
    attempts = len(aws.activities) - 11
    assert 10 < attempts < 25, "about two an hour"


def test_where_the_group_does_not_rebalance_workers_stay_until_they_end_and_are_told() -> None:
    aws = Aws()
    aws.rebalances = aws.spot = False
    aws.wait(20)
    aws.spot = True
    aws.wait(4 * PAUSE // 60)
    assert (aws.base, aws.account["fallback"], aws.markets) == (0, 0, ["on-demand"] * 2)
    assert aws.account["surplus"] == 2
    aws.end("on-demand")
    aws.wait(1)
    assert (aws.markets, aws.account["surplus"]) == (["on-demand", "spot"], 1)


def test_spot_workers_that_come_meanwhile_are_not_replaced_by_on_demand_ones() -> None:
    aws = Aws()
    aws.on_demand = aws.spot = False
    aws.wait(13)
    assert aws.base == 2
    aws.ages = {"spot_a": 0, "spot_b": 0}
    aws.wait(1)
    assert (aws.base, aws.account["fallback"]) == (0, 0)


def test_where_on_demand_has_none_either_spot_is_tried_again_after_the_pause() -> None:
    aws = Aws()
    aws.on_demand = aws.spot = False
    aws.wait(13)
    assert aws.base == 2
    aws.spot = True
    aws.wait(30 + PAUSE // 60 + 30)
    assert "spot" in aws.markets


def test_the_stacks_own_share_stays_below() -> None:
    aws = Aws(desired=4, base=1)
    aws.wait(10)
    assert aws.markets == ["on-demand", "spot", "spot", "spot"]
    aws.spot = False
    aws.end("spot")
    aws.wait(12)
    assert (aws.base, aws.account["fallback"]) == (2, 1)
    aws.spot = True
    aws.wait(2 * PAUSE // 60)
    assert (aws.base, aws.account["fallback"], aws.markets.count("on-demand")) == (1, 0, 1)


def test_a_percentage_above_the_base_is_reckoned_with() -> None:
    aws = Aws(desired=4, percentage=50)
    aws.wait(10)
    assert aws.markets == ["on-demand", "on-demand", "spot", "spot"]
    aws.spot = False
    aws.end("spot")
    aws.wait(12)
    assert aws.markets == ["on-demand"] * 3 + ["spot"], "the spot worker that is there stays"


def test_another_share_of_the_stack_is_set_by_the_head() -> None:
    aws = Aws(desired=2)
    aws.wait(10)
    aws.given = aws.given._replace(base=1)
    aws.wait(1)
    assert aws.base == 1


def test_a_smaller_group_keeps_no_larger_share_than_its_size() -> None:
    aws = Aws(desired=3)
    aws.spot = False
    aws.wait(15)
    assert aws.base == 3
    aws.desired = 1
    aws.wait(1)
    assert (aws.base, aws.account["fallback"]) == (1, 1)
    aws.desired = 0
    aws.wait(1)
    assert (aws.base, aws.account["fallback"]) == (0, 0)


def test_workers_that_are_being_stopped_come_not_on_demand() -> None:
    aws = Aws()
    aws.spot = False
    aws.account["state"] = "stopping"
    aws.wait(30)
    assert aws.base == 0


def test_refusals_of_long_ago_tell_nothing_of_workers_that_are_missing_now() -> None:
    account = new(0.0)
    old = [Launch(0.0, SPOT_IS_DRY)]
    for minute in range(60):
        now = RECENT + minute * MINUTE
        assert follow(account, Group(2, [], 0), old, Rule(600, 0, 0), now) == 0


@pytest.mark.parametrize(
    "said",
    [
        SPOT_IS_DRY,
        "There is no Spot capacity available that matches your request. Launching EC2 instance failed.",
        "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available "
        "that matches your request. Launching EC2 instance failed.",
        "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded. "
        "Launching EC2 instance failed.",
        "Max spot instance count exceeded. Launching EC2 instance failed.",
    ],
)
def test_want_of_spot_capacity_is_told_from_aws_reason(said: str) -> None:
    assert dry([Launch(1.0, said)]) == Launch(1.0, said)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token 1 was abandoned: "
        "Lifecycle Action Completed with ABANDON Result",
        "Could not launch Spot Instances. InvalidParameterCombination - The specified instance type is not "
        "eligible for Free Tier. Launching EC2 instance failed.",
        "Could not launch Spot Instances. SpotMaxPriceTooLow - Your Spot request price of 0.1 is lower than "
        "the minimum required Spot request fulfillment price of 0.2. Launching EC2 instance failed.",
        "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have "
        "sufficient g5.xlarge capacity. Launching EC2 instance failed.",
        "Could not launch Spot Instances. UnauthorizedOperation - You are not authorized. Launching failed.",
        "Client.InternalError: Client error on launch",
    ],
)
def test_other_failures_raise_nothing(said: str) -> None:
    assert dry([Launch(1.0, said)]) is None


def test_the_newest_refusal_counts() -> None:
    earlier, later = Launch(1.0, SPOT_IS_DRY), Launch(2.0, SPOT_IS_DRY)
    assert dry([earlier, later, earlier]) == later


def test_without_the_setting_there_is_no_rule() -> None:
    assert rule({}) is None
    assert rule({"fallback_seconds": None, "on_demand_base": 1}) is None
    given = {"fallback_seconds": 600, "on_demand_base": 1, "on_demand_percentage": 25}
    assert rule(given) == Rule(600, 1, 25)


def test_times_follow_a_clock_that_is_set_and_those_that_are_none_stay_none() -> None:
    account = {**new(0.0), "dry_since": 100.0}
    shift(account, 50.0)
    assert (account["dry_since"], account["trying"]) == (150.0, 0.0)

"""Lines of `fab workers` about workers on demand in place of spot workers; pure."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from bootstrap.cluster import AutoScalingGroup
from bootstrap.inventory.account import Account
from bootstrap.inventory.fallback import lines
from bootstrap.join.on_node.account import new

GROUP = AutoScalingGroup(
    name="workers", region="eu-west-1", desired_capacity=2, watched=True, fallback_seconds=600
)
AT = datetime(2026, 11, 30, 10, 0, tzinfo=timezone.utc).timestamp()
NONE_LEFT = "Could not launch Spot Instances. UnfulfillableCapacity"


def kept(**changes: Any) -> Account:
    return Account.model_validate({**new(AT), **changes})


def test_while_there_is_spot_capacity_nothing_is_told() -> None:
    assert lines(GROUP, kept()) == []


def test_a_dry_market_is_told_with_aws_reason_and_when_workers_come() -> None:
    assert lines(GROUP, kept(dry_since=AT, dry=NONE_LEFT)) == [
        "spot     dry since 2026-11-30 10:00 UTC; missing workers come on demand after 10 min: " + NONE_LEFT
    ]


def test_workers_on_demand_in_place_of_spot_workers_are_told() -> None:
    assert lines(GROUP, kept(fallback=2, fallback_at=AT, dry=NONE_LEFT)) == [
        "spot     2 workers on demand in its place, as of 2026-11-30 10:00 UTC; spot is tried again later: "
        + NONE_LEFT
    ]
    (line,) = lines(GROUP, kept(fallback=1, fallback_at=AT, trying=AT))
    assert "1 worker on demand in its place" in line
    assert line.endswith("spot is tried again since 2026-11-30 10:00 UTC")


def test_workers_that_stay_on_demand_lead_to_the_command_that_replaces_one() -> None:
    (line,) = lines(GROUP, kept(surplus=2))
    assert line.startswith("spot     2 workers on demand until the group replaces them or they end; `aws ")
    assert "--no-should-decrement-desired-capacity --region eu-west-1`" in line


def test_a_share_that_could_not_be_changed_is_told() -> None:
    assert lines(GROUP, kept(fallback_error="403 AccessDenied")) == [
        "spot     the on-demand share could not be changed: 403 AccessDenied"
    ]


def test_without_the_setting_nothing_is_told() -> None:
    other = GROUP.model_copy(update={"fallback_seconds": None})
    assert lines(other, kept(dry_since=AT, fallback=1, surplus=1)) == []


def test_a_share_that_could_not_be_taken_back_is_told_without_the_setting_too() -> None:
    other = GROUP.model_copy(update={"fallback_seconds": None})
    assert lines(other, kept(fallback=1, fallback_error="403 AccessDenied")) == [
        "spot     the on-demand share could not be changed: 403 AccessDenied"
    ]

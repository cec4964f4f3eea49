"""Members that join the group or fail to, as the head counts them; pure."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.join.on_node.account import Instance, new
from bootstrap.join.on_node.group import Group
from bootstrap.join.on_node.joining import PATIENCE, Failure, follow
from infra.aws.workers import JOINING_S

MINUTE = 60.0


class Fleet:
    """A group that is looked at once a minute; members by id, with their states."""

    def __init__(self, desired: int = 1) -> None:
        self.account: dict[str, Any] = new(0.0)
        self.desired, self.now = desired, 0.0
        self.members: dict[str, str] = {}
        self.reasons: dict[str, str] = {}

    def look(self, minutes: float = 1) -> Failure | None:
        self.now += minutes * MINUTE
        members = [Instance(name, "g4dn.xlarge", "a", state) for name, state in self.members.items()]
        group = Group(self.desired, members)
        found = follow(self.account, group, self.now, lambda name: self.reasons.get(name, ""))
        self.account["desired"] = self.desired
        return found

    @property
    def failures(self) -> int:
        found: int = self.account["failures"]
        return found

    def fails(self, name: str, reason: str = "no numpy") -> Failure | None:
        """A member starts, reports its failure, begins again, and is replaced."""
        self.members = {name: "Pending:Wait"}
        self.look()
        self.reasons[name] = reason
        self.look()
        del self.reasons[name]
        self.look(28)
        self.members = {name: "Terminating:Wait"}
        return self.look()


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_a_member_that_reports_a_failure_and_is_replaced_has_failed_with_that_reason(fleet: Fleet) -> None:
    assert fleet.fails("i-1") == Failure("i-1", "no numpy")
    assert fleet.failures == 1
    assert fleet.look() is None
    fleet.members = {}
    assert fleet.look() is None
    assert fleet.failures == 1, "it is counted once"


def test_failures_in_a_row_are_counted_until_a_member_comes_into_service(fleet: Fleet) -> None:
    for number in range(1, 4):
        fleet.fails(f"i-{number}")
        assert fleet.failures == number
    fleet.members = {"i-4": "Pending:Wait"}
    fleet.look()
    assert fleet.failures == 3
    fleet.members = {"i-4": "InService"}
    fleet.look()
    assert fleet.failures == 0
    assert (fleet.account["failed"], fleet.account["log"]) == ("", "")


def test_a_member_that_joins_between_two_looks_is_a_success(fleet: Fleet) -> None:
    fleet.fails("i-1")
    fleet.members = {"i-2": "InService"}
    fleet.look()
    assert fleet.failures == 0


def test_a_member_that_has_been_in_service_does_not_end_a_row_again_and_again(fleet: Fleet) -> None:
    fleet.desired = 2
    fleet.members = {"i-0": "InService"}
    fleet.look()
    for number in (1, 2):
        fleet.members = {"i-0": "InService", f"i-{number}": "Pending:Wait"}
        fleet.reasons = {f"i-{number}": "no numpy"}
        fleet.look()
        fleet.members = {"i-0": "InService"}
        fleet.look()
    assert fleet.failures == 2


def test_a_member_that_fails_at_first_and_joins_has_not_failed(fleet: Fleet) -> None:
    fleet.members, fleet.reasons = {"i-1": "Pending:Wait"}, {"i-1": "no mirror answers"}
    fleet.look()
    fleet.members = {"i-1": "InService"}
    fleet.look()
    fleet.members = {}
    assert fleet.look() is None
    assert fleet.failures == 0


def test_a_member_that_never_reports_has_failed_when_the_groups_patience_ends(fleet: Fleet) -> None:
    assert PATIENCE < JOINING_S
    fleet.members = {"i-1": "Pending:Wait"}
    fleet.look()
    fleet.members = {}
    assert fleet.look(JOINING_S / MINUTE) == Failure("i-1", "")
    assert fleet.failures == 1


def test_a_member_that_is_taken_while_it_starts_has_not_failed(fleet: Fleet) -> None:
    fleet.members = {"i-1": "Pending:Wait"}
    fleet.look()
    fleet.members = {"i-1": "Terminating"}
    assert fleet.look(5) is None
    assert fleet.failures == 0


def test_members_of_a_group_that_is_made_smaller_have_not_failed(fleet: Fleet) -> None:
    fleet.desired = 2
    fleet.members = {"i-1": "Pending:Wait", "i-2": "Pending:Wait"}
    fleet.look()
    fleet.look(29)
    fleet.desired = 1
    assert fleet.look() is None
    fleet.members = {"i-2": "Pending:Wait"}
    assert fleet.look() is None
    fleet.desired = 0
    fleet.members = {}
    assert fleet.look() is None
    assert fleet.failures == 0


def test_whoever_asks_for_more_members_begins_a_new_row(fleet: Fleet) -> None:
    fleet.fails("i-1")
    fleet.fails("i-2")
    fleet.desired, fleet.members = 0, {}
    fleet.look()
    assert fleet.failures == 2, "people read the reason meanwhile"
    fleet.desired = 1
    fleet.look()
    assert fleet.failures == 0

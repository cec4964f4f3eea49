"""Lanes of a node: which roles run beside which, and where each begins."""

from __future__ import annotations

from pathlib import Path

from bootstrap.engine.command import Command
from bootstrap.engine.lanes import Lane, lanes
from bootstrap.engine.role import Role


def role(name: str, *requires: str) -> Role:
    steps = [{"name": "s", "command": {"run": "true", "unless": "true"}}]
    return Role.model_validate(
        {"name": name, "description": name, "requires": requires, "steps": steps, "folder": Path()}
    )


ROLES = [role("common"), role("hadoop", "common"), role("hdfs", "hadoop"), role("spark", "common")]


def commands(*roles: str) -> list[Command]:
    return [Command(name, f"{name} {number}", "true", "true") for name in roles for number in (1, 2)]


def shape(found: list[Lane]) -> dict[str, tuple[tuple[str, ...], int]]:
    return {lane.role: (lane.after, lane.first) for lane in found}


def test_a_role_comes_after_all_that_it_requires_and_beside_others() -> None:
    found = lanes(commands("common", "hadoop", "hdfs", "spark"), ROLES, [False] * 8)
    assert shape(found) == {
        "common": ((), 0),
        "hadoop": (("common",), 0),
        "hdfs": (("common", "hadoop"), 0),
        "spark": (("common",), 0),
    }


def test_a_role_begins_at_its_first_step_to_run_and_what_builds_on_it_at_its_own_first() -> None:
    held = [True, True, True, False, True, True, True, True]
    found = lanes(commands("common", "hadoop", "hdfs", "spark"), ROLES, held)
    assert {lane.role: lane.first for lane in found} == {"common": 2, "hadoop": 1, "hdfs": 0, "spark": 2}
    assert [lane.role for lane in found if lane.pending] == ["hadoop", "hdfs"]


def test_a_step_whose_need_of_the_head_may_change_is_one_to_run() -> None:
    unsettled = [False, False, False, True]
    found = lanes(commands("common", "spark"), ROLES, [True] * 4, unsettled)
    assert {lane.role: lane.first for lane in found} == {"common": 2, "spark": 1}


def test_requirements_hold_across_roles_without_steps_on_this_node() -> None:
    found = lanes(commands("common", "hdfs"), ROLES, [True, False, True, True])
    assert shape(found) == {"common": ((), 1), "hdfs": (("common",), 0)}

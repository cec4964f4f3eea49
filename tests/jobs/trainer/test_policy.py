"""Policy of a job that loses executors."""

from __future__ import annotations

import pytest

from jobs.trainer.contract import (
    CONTROL_CONF,
    MIN_EXECUTORS_CONF,
    ON_DRIVER_LOST_CONF,
    ON_WORKER_LOST_CONF,
    REPLACEMENT_LIMIT_CONF,
    SNAPSHOT_EVERY_CONF,
    TRANSPORT_CONF,
)
from jobs.trainer.errors import Refused
from jobs.trainer.policy import LIMIT_S, Policy, grows, policy


def test_a_job_that_says_nothing_fails_as_caffeonsparks_do() -> None:
    assert policy({}, 2) == Policy("fail", LIMIT_S, 1, 0.0)


def test_settings_are_read() -> None:
    given = {
        ON_WORKER_LOST_CONF: "shrink",
        REPLACEMENT_LIMIT_CONF: "90",
        MIN_EXECUTORS_CONF: "2",
        SNAPSHOT_EVERY_CONF: "30.5",
        ON_DRIVER_LOST_CONF: "restart",
        CONTROL_CONF: "hdfs://h/jobs/m-1",
    }

    assert policy(given, 3) == Policy("shrink", 90.0, 2, 30.5, restarts=True)


@pytest.mark.parametrize(("action", "taken"), [("shrink", True), ("wait", False), ("fail", False)])
def test_only_a_job_that_shrinks_grows(action: str, taken: bool) -> None:
    assert grows(Policy(action)) is taken


@pytest.mark.parametrize(
    "setting", [{TRANSPORT_CONF: "none"}, {"spark.master": "local[2]"}, {"spark.master": "local"}]
)
def test_ranks_alone_and_executors_in_the_driver_are_not_replaced(setting: dict[str, str]) -> None:
    assert policy({ON_WORKER_LOST_CONF: "shrink", **setting}, 2).action == "fail"


def test_a_driver_that_is_to_begin_again_needs_a_folder_for_what_it_leaves() -> None:
    with pytest.raises(Refused, match=f"{ON_DRIVER_LOST_CONF}=restart: it needs {CONTROL_CONF}"):
        policy({ON_DRIVER_LOST_CONF: "restart"}, 2)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        (ON_WORKER_LOST_CONF, "retry"),
        (ON_WORKER_LOST_CONF, ""),
        (MIN_EXECUTORS_CONF, "0"),
        (MIN_EXECUTORS_CONF, "3"),
        (MIN_EXECUTORS_CONF, "1.5"),
        (REPLACEMENT_LIMIT_CONF, "-1"),
        (REPLACEMENT_LIMIT_CONF, "nan"),
        (SNAPSHOT_EVERY_CONF, "30 s"),
        (SNAPSHOT_EVERY_CONF, "inf"),
        (ON_DRIVER_LOST_CONF, "retry"),
    ],
)
def test_a_setting_that_is_not_valid_is_refused_by_name(name: str, given: str) -> None:
    with pytest.raises(Refused, match="it is not ") as refused:
        policy({name: given}, 2)

    assert str(refused.value).startswith(f"{name}={given}: it is not ")

"""Setting `cloudLogs`: a switch, or a mapping with the days that CloudWatch keeps logs for."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.errors import ConfigError
from infra.aws.settings.cloud_logs import DEFAULT_DAYS, RETENTIONS
from tests.infra.aws.settings.stack_file import loaded


@pytest.mark.parametrize("value", [{}, {"cloudLogs": False}, {"cloudLogs": "false"}, {"cloudLogs": ""}])
def test_without_it_logs_stay_on_the_machines(value: dict[str, Any]) -> None:
    assert loaded(**value).cloud_logs is None


@pytest.mark.parametrize(
    ("value", "days"),
    [
        (True, DEFAULT_DAYS),
        ("true", DEFAULT_DAYS),
        ({}, DEFAULT_DAYS),
        ({"retentionDays": 7}, 7),
        ({"retentionDays": "365"}, 365),
    ],
)
def test_it_is_a_switch_or_says_for_how_many_days_logs_are_kept(value: object, days: int) -> None:
    found = loaded(cloudLogs=value).cloud_logs
    assert found is not None
    assert found.retention_days == days


def test_every_time_that_cloudwatch_knows_is_taken() -> None:
    kept = [loaded(cloudLogs={"retentionDays": days}).cloud_logs for days in RETENTIONS]
    assert [one.retention_days for one in kept if one] == list(RETENTIONS)


MISTAKES: list[tuple[Any, tuple[str, ...]]] = [
    ("yes", ("cloudLogs = 'yes'", "true, false, or {retentionDays: DAYS}", "config set cloudLogs true")),
    ("on", ("cloudLogs = 'on'", "valid: true, false")),
    (30, ("cloudLogs = '30'", "valid: true, false, or {retentionDays: DAYS}")),
    (["boot"], ("cloudLogs", "valid: true, false, or {retentionDays: DAYS}")),
    ({"retentionDays": 31}, ("cloudLogs.retentionDays = 31", "certain numbers of days", "valid: 1, 3, 5, 7")),
    ({"retentionDays": 0}, ("cloudLogs.retentionDays = 0", "--path cloudLogs.retentionDays 30")),
    ({"retentionDays": -1}, ("cloudLogs.retentionDays = -1", "3653")),
    ({"retentionDays": 3654}, ("cloudLogs.retentionDays = 3654", "3653")),
    ({"retentionDays": 7.5}, ("cloudLogs.retentionDays = 7.5", "valid: 1, 3, 5, 7")),
    ({"retentionDays": "a week"}, ("cloudLogs.retentionDays = 'a week'", "valid: 1, 3, 5, 7")),
    ({"retentionDays": True}, ("cloudLogs.retentionDays = True", "not a number of days")),
    ({"retentionDays": "for ever"}, ("cloudLogs.retentionDays = 'for ever'", "valid: 1, 3, 5, 7")),
    ({"retention": 7}, ("cloudLogs.retention", "unknown key", "retentionDays")),
    ({"retentionDays": 7, "kmsKey": "alias/logs"}, ("cloudLogs.kmsKey", "unknown key", "retentionDays")),
    ({"group": "mine"}, ("cloudLogs.group", "unknown key")),
]


@pytest.mark.parametrize(("value", "words"), MISTAKES)
def test_a_mistake_is_named_with_what_is_valid(value: object, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(cloudLogs=value)
    for word in words:
        assert word in str(refused.value)


def test_its_endpoint_takes_room_too() -> None:
    walled: dict[str, Any] = {"cidr": "10.40.0.0/22", "workers": 182, "egress": "endpoints"}
    assert loaded(**walled).max_workers == 364
    with pytest.raises(ConfigError, match="room for 363 workers, not for 364"):
        loaded(**walled, cloudLogs=True)

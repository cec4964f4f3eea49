"""The simulated metadata service, as AWS documents IMDSv2."""

from __future__ import annotations

import json
import time
from typing import Final

import pytest

from jobs.drill.metadata import InstanceMetadata, Tokens

PREFIX: Final = "/latest/meta-data/"
AT: Final = 1_795_978_500.0


def token(metadata: InstanceMetadata) -> str:
    status, text = metadata.token("300", forwarded=False)
    assert status == 200
    return text


def get(metadata: InstanceMetadata, path: str) -> tuple[int, str]:
    return metadata.get(PREFIX + path, token(metadata))


@pytest.mark.parametrize("seconds", ["1", "21600"])
def test_a_token_lasts_up_to_six_hours(seconds: str) -> None:
    assert InstanceMetadata("i-1", "10.0.0.1").token(seconds, forwarded=False)[0] == 200


@pytest.mark.parametrize("seconds", ["", "0", "21601", "-5", "soon", "1.5", "٣"])
def test_other_lifetimes_are_refused(seconds: str) -> None:
    assert InstanceMetadata("i-1", "10.0.0.1").token(seconds, forwarded=False)[0] == 400


def test_a_proxys_request_for_a_token_is_refused() -> None:
    assert InstanceMetadata("i-1", "10.0.0.1").token("300", forwarded=True)[0] == 403


def test_a_token_ends_after_its_time() -> None:
    now = [0.0]
    tokens = Tokens(lambda: now[0])
    issued = tokens.issue("10")
    assert tokens.valid(issued)
    now[0] = 10.0
    assert not tokens.valid(issued)


@pytest.mark.parametrize("wrong", ["", "guessed"])
def test_nothing_is_told_without_a_valid_token(wrong: str) -> None:
    assert InstanceMetadata("i-1", "10.0.0.1").get(f"{PREFIX}instance-id", wrong)[0] == 401


def test_an_instance_knows_itself() -> None:
    metadata = InstanceMetadata("i-1", "10.0.0.1")
    assert get(metadata, "instance-id") == (200, "i-1")
    assert get(metadata, "local-ipv4") == (200, "10.0.0.1")
    assert get(metadata, "autoscaling/target-lifecycle-state") == (200, "InService")


def test_where_no_interruption_is_near_its_paths_do_not_exist() -> None:
    metadata = InstanceMetadata("i-1", "10.0.0.1")
    paths = "spot/instance-action spot/termination-time events/recommendations/rebalance nosuch"
    for path in paths.split():
        assert get(metadata, path)[0] == 404
    assert metadata.get("/latest/dynamic/nosuch", token(metadata))[0] == 404


def test_an_interruption_has_its_action_and_time_until_it_is_withdrawn() -> None:
    metadata = InstanceMetadata("i-1", "10.0.0.1")
    metadata.announce(AT)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(AT))
    assert json.loads(get(metadata, "spot/instance-action")[1]) == {"action": "terminate", "time": moment}
    assert get(metadata, "spot/termination-time") == (200, moment)
    metadata.withdraw()
    assert get(metadata, "spot/instance-action")[0] == 404


def test_each_announcement_is_noted_once_when_the_node_has_read_it() -> None:
    read: list[str] = []
    metadata = InstanceMetadata("i-1", "10.0.0.1", lambda: read.append("read"))
    get(metadata, "spot/instance-action")
    get(metadata, "autoscaling/target-lifecycle-state")
    assert read == []
    metadata.announce(AT)
    assert read == []
    for _ in range(3):
        get(metadata, "spot/instance-action")
    assert read == ["read"]
    metadata.withdraw()
    metadata.terminate()
    for _ in range(3):
        get(metadata, "autoscaling/target-lifecycle-state")
    assert read == ["read", "read"]

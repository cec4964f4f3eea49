"""Notices from a metadata service on loopback, the drill's: tokens, files, and failures."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bootstrap.cluster import Node
from bootstrap.join import program
from bootstrap.join.on_node import aws, notice
from infra.aws.workers import LEAVING_S
from jobs.drill.cloud import NodeServer
from jobs.drill.metadata import InstanceMetadata
from jobs.trainer import contract
from tests.drip import dripping
from tests.host_keys import host_key

MINUTE = 1_795_978_500
"""A time in whole seconds, since 1970."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Settings of the machine; its file for executors is in a scratch folder."""
    found = {"rebalance": ""}
    monkeypatch.setattr(aws, "setting", found.__getitem__)
    monkeypatch.setattr(notice, "FILE", str(tmp_path / "notice.json"))
    monkeypatch.setattr(notice, "POLL", 0.01)
    return found


@pytest.fixture
def cloud(settings: dict[str, str]) -> Iterator[InstanceMetadata]:
    """The metadata of this machine, served."""
    node = Node(name="w1", address="127.0.0.1", host_key=host_key("w1"))
    server = NodeServer("127.0.0.1", node, lambda *_: None)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    settings["metadata"] = server.url
    yield server.metadata
    server.shutdown()
    server.server_close()


class Waiting:
    """A machine that waits for its notice, in a thread."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.found: list[notice.Notice] = []
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        self.found.append(notice.await_certain(self.said.append))

    def ended(self) -> notice.Notice:
        self._thread.join(10)
        return self.found[0]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def told() -> object:
    return json.loads(Path(notice.FILE).read_text()) if Path(notice.FILE).exists() else None


def test_nothing_is_a_notice_of_nothing(cloud: InstanceMetadata) -> None:
    assert notice.look(notice.Metadata()) is None


def test_a_reclaimed_instance_has_a_reason_and_the_time_of_its_end(cloud: InstanceMetadata) -> None:
    cloud.announce(MINUTE)
    found = notice.look(notice.Metadata())
    assert found is not None
    assert (found.at, found.certain) == (MINUTE, True)
    assert found.why.startswith("the cloud reclaims this spot instance: ")


@pytest.mark.parametrize("action", ["", "{}", "[1]", '{"action": "stop"}', '{"time": 5}', '{"time": "soon"}'])
def test_an_action_of_another_form_is_a_notice_without_a_time(action: str) -> None:
    assert notice.seconds(action) == 0.0


def test_a_group_that_shrinks_gives_a_machine_the_time_of_its_hook(cloud: InstanceMetadata) -> None:
    cloud.terminate()
    found = notice.look(notice.Metadata())
    assert found is not None
    assert "Auto Scaling group" in found.why
    assert found.at == pytest.approx(time.time() + LEAVING_S, abs=5)


def test_a_recommendation_is_no_notice_unless_the_settings_say_so(
    cloud: InstanceMetadata, settings: dict[str, str]
) -> None:
    cloud.recommend()
    assert notice.look(notice.Metadata()) is None
    settings["rebalance"] = "yes"
    found = notice.look(notice.Metadata())
    assert found is not None
    assert (found.at, found.certain) == (0.0, False)


def test_one_token_serves_for_its_lifetime_and_is_renewed_before_its_end(
    cloud: InstanceMetadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = notice.Metadata()
    for _ in range(5):
        notice.look(metadata)
    assert cloud.tokens.issued == 1

    late = time.monotonic() + notice.LIFETIME - notice.RENEWAL
    monkeypatch.setattr(time, "monotonic", lambda: late)
    notice.look(metadata)
    assert cloud.tokens.issued == 2


def test_a_token_that_the_service_has_forgotten_is_replaced(cloud: InstanceMetadata) -> None:
    metadata = notice.Metadata()
    notice.look(metadata)
    cloud.tokens.forget()
    cloud.announce(MINUTE)
    assert notice.look(metadata) is not None
    assert cloud.tokens.issued == 2


def test_a_service_that_does_not_end_its_answers_is_given_up(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notice, "LIMIT", 0.3)
    with dripping() as url:
        settings["metadata"] = url.rstrip("/")
        with pytest.raises(RuntimeError, match=r"the answer did not end in 0\.3 s"):
            notice.look(notice.Metadata())


def test_a_file_of_an_earlier_notice_is_removed_at_the_start(cloud: InstanceMetadata) -> None:
    notice.write(notice.Notice("of another life", 1.0))
    machine = Waiting()
    eventually(lambda: told() is None)
    cloud.announce(MINUTE)
    assert machine.ended().at == MINUTE


def test_a_recommendation_is_told_and_withdrawn_and_a_certain_notice_ends_the_wait(
    cloud: InstanceMetadata, settings: dict[str, str]
) -> None:
    settings["rebalance"] = "yes"
    machine = Waiting()
    cloud.recommend()
    eventually(lambda: told() == {"why": "the cloud expects to reclaim this spot instance", "at": 0.0})
    cloud.withdraw()
    eventually(lambda: told() is None)
    cloud.announce(MINUTE)
    assert machine.ended().at == MINUTE
    assert machine.said == [
        "notice: the cloud expects to reclaim this spot instance",
        "notice: withdrawn",
    ]


def test_failures_of_the_service_are_told_once_and_withdraw_nothing(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings["rebalance"] = "yes"
    entries = {"events/recommendations/rebalance": "soon"}
    asked = {"in vain": 0, "again": 0}

    def get(_: notice.Metadata, path: str) -> str:
        if "fails" in entries:
            asked["in vain"] += 1
            raise OSError("no route")
        asked["again"] += asked["in vain"] > 0
        return entries.get(path, "")

    monkeypatch.setattr(notice.Metadata, "get", get)
    machine = Waiting()
    eventually(lambda: told() is not None)
    entries["fails"] = ""
    eventually(lambda: asked["in vain"] > 3)
    assert told() is not None, "a service that is away has withdrawn nothing"
    del entries["fails"]
    eventually(lambda: asked["again"] > 6)
    entries["spot/instance-action"] = "{}"
    machine.ended()
    assert machine.said[1:] == ["metadata: no route", "metadata: answers again"]


def test_the_file_is_whole_and_everybodys_to_read(settings: dict[str, str]) -> None:
    before = os.umask(0o077)
    try:
        notice.write(notice.Notice("why", 5.5))
    finally:
        os.umask(before)
    assert told() == {"why": "why", "at": 5.5}
    assert stat.S_IMODE(Path(notice.FILE).stat().st_mode) == 0o644
    assert [path.name for path in Path(notice.FILE).parent.iterdir()] == ["notice.json"]


def test_what_several_programs_know_is_the_same() -> None:
    assert notice.FILE == contract.NOTICE_FILE == program.TOLD
    assert notice.HOOK == LEAVING_S

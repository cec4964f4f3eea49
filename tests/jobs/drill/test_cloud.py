"""The simulated cloud over HTTP, and the machines' own program against it."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.cluster import Node
from bootstrap.join.on_node import aws, boot, notice
from bootstrap.join.user_data import Boot
from jobs.drill.cloud import NodeServer, own_address, serving
from tests.host_keys import host_key
from tests.signing import SIGNING_KEY

TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"
NODE = Node(name="w1", address="127.0.0.1", host_key=host_key("w1"))


class World:
    """A server of one node, and the marks that it made."""

    def __init__(self) -> None:
        self.marks: list[tuple[str, str, str]] = []


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def server(world: World) -> Iterator[NodeServer]:
    with serving([NODE], lambda kind, node, text: world.marks.append((kind, node, text))) as servers:
        yield servers["w1"]


def request(url: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = urllib.request.Request(url, method=method, headers=names)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=5) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, "", dict(error.headers)


def test_a_token_is_put_and_then_opens_the_metadata(server: NodeServer) -> None:
    status, token, headers = request(f"{server.url}/latest/api/token", "PUT", **{TTL: "60"})
    assert (status, headers[TTL]) == (200, "60")
    assert request(f"{server.url}/latest/meta-data/instance-id", **{TOKEN: token})[1] == "i-drill-w1"


def test_a_request_without_a_token_or_lifetime_is_refused(server: NodeServer) -> None:
    assert request(f"{server.url}/latest/meta-data/instance-id")[0] == 401
    assert request(f"{server.url}/latest/api/token", "PUT")[0] == 400
    assert request(f"{server.url}/latest/api/token", "PUT", **{TTL: "60", "X-Forwarded-For": "1"})[0] == 403
    assert request(f"{server.url}/nosuch", "PUT")[0] == 405


def test_a_node_reads_no_other_nodes_metadata(world: World) -> None:
    other = Node(name="w2", address="127.0.0.2", host_key=host_key("w2"))
    with serving([other], lambda *_: None) as servers:
        assert request(f"{servers['w2'].url}/latest/api/token", "PUT", **{TTL: "60"})[0] == 403


@pytest.mark.parametrize("body", [b"", b"[1]", b"{}", b"\xff"])
def test_a_report_of_another_form_is_refused(server: NodeServer, world: World, body: bytes) -> None:
    asked = urllib.request.Request(f"{server.url}/reports/x", data=body, method="PUT")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=5)
    assert refused.value.code == 400
    assert world.marks == []


def test_the_address_of_this_machine_is_the_one_on_the_way_to_the_node() -> None:
    assert own_address("127.0.0.1") == "127.0.0.1"


def test_every_setting_is_one_of_user_datas(server: NodeServer) -> None:
    given = Boot(
        role="worker",
        region="r",
        bucket="b",
        script_key="s",
        sha256="0",
        ssh_user="u",
        authorized_key="",
        signing_key=SIGNING_KEY.public_key,
        role_id="R",
    )
    assert set(server.settings()) <= set(given.settings())


def test_the_program_of_aws_machines_leaves_and_its_steps_are_marked(
    server: NodeServer, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program as it is; only the machine's commands and files are others."""
    (tmp_path / "host_key.pub").write_text("ssh-ed25519 AAAA root@w1\n")
    for name, value in {
        "IDENTITY": tmp_path / "node",
        "HOST_KEY": tmp_path / "host_key.pub",
        "LOG": tmp_path / "log",
    }.items():
        monkeypatch.setattr(boot, name, str(value))
    monkeypatch.setattr(boot, "command", lambda *_: 1)
    monkeypatch.setattr(notice, "FILE", str(tmp_path / "notice.json"))
    monkeypatch.setattr(notice, "POLL", 0.01)
    monkeypatch.setattr(aws, "setting", server.settings().__getitem__)

    watching = threading.Thread(target=boot.watch, daemon=True)
    watching.start()
    server.metadata.announce(time.time() + 60)
    watching.join(20)

    assert not watching.is_alive()
    kinds = [kind for kind, _, _ in world.marks]
    # Nothing waits for reports: the machine leaves beside them.
    assert kinds[0] == "read"
    assert sorted(kinds) == ["completed", "leaving", "left", "read"]
    assert kinds.index("leaving") < kinds.index("left")
    assert {node for _, node, _ in world.marks} == {"w1"}
    told = {kind: text for kind, _, text in world.marks}
    assert "the cloud reclaims this spot instance" in told["leaving"]
    assert told["completed"] == "CONTINUE"

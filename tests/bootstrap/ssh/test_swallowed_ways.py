"""Ways to nodes that fall silent: a proxy command, and the head on the way to a worker."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import Unreachable
from bootstrap.ssh import limits
from bootstrap.ssh.remote import connect
from tests.bootstrap.local_node import LocalNode
from tests.bootstrap.network import HANGS, Network, ends
from tests.bootstrap.ssh.test_remote_ways import RELAY, with_ssh
from tests.bootstrap.ssh_server import Server

NOTHING_CAME = "the SSH connection broke: nothing came from the node"


@pytest.fixture
def relay(tmp_path: Path) -> Path:
    """A proxy command that keeps its process id beside it."""
    program = tmp_path / "relay.py"
    program.write_text(
        f"import os, pathlib\npathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        + RELAY.replace("{known}", repr({"127.0.0.1": "127.0.0.1"}))
    )
    return program


@pytest.fixture
def proxied(through: Cluster, relay: Path) -> Cluster:
    """The cluster, with its head behind the proxy command."""
    return with_ssh(through, proxy_command=f"{sys.executable} {relay} %h %p")


@pytest.fixture
def inner(server: Server) -> Iterator[Network]:
    """The cluster's own network, between its head and a worker."""
    made = Network(server.port)
    yield made
    made.close()


@pytest.fixture
def jumping(through: Cluster, server: Server, inner: Network) -> Cluster:
    """The cluster, with workers that are reached through the head."""
    worker = through.head.model_copy(update={"name": "w1", "address": "10.9.8.11", "ssh_target": ""})
    server.door.routes["10.9.8.11"] = inner.port
    return with_ssh(through, jump=True).model_copy(update={"workers": (worker,)})


def running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_a_port_of_the_clusters_own_reaches_the_proxy_command_and_it_ends_with_the_connection(
    proxied: Cluster, tmp_path: Path
) -> None:
    with connect(proxied, proxied.head) as remote:
        assert remote.run("echo here").stdout == "here\n"
        pid = int((tmp_path / "pid").read_text())
        assert running(pid)
    assert not running(pid)


def test_a_proxy_command_that_ends_breaks_the_connection_at_once(
    proxied: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SILENCE", 600.0)

    def kill(_line: str) -> None:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    with connect(proxied, proxied.head) as remote:
        result = ends(lambda: remote.run("echo up; sleep 100", on_line=kill))
    assert isinstance(result, Unreachable), result
    assert "the SSH connection broke" in result.why


def test_a_proxy_command_that_forwards_nothing_any_more_is_noticed(
    proxied: Cluster, network: Network
) -> None:
    with connect(proxied, proxied.head) as remote:
        result = ends(lambda: remote.run("echo up; sleep 100", on_line=lambda _: network.swallow()))
    assert isinstance(result, Unreachable), result
    assert NOTHING_CAME in result.why


def test_a_proxy_command_that_reads_nothing_does_not_hold_a_sender(
    proxied: Cluster, network: Network, node: LocalNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STALL", 600.0)
    network.swallow(after=2**20, deaf=True)
    with connect(proxied, proxied.head) as remote:
        result = ends(lambda: remote.put(bytes(24 * 2**20), str(node.folder / "there")))
    assert isinstance(result, Unreachable), result
    assert NOTHING_CAME in result.why
    assert not running(int((tmp_path / "pid").read_text()))


def test_what_a_proxy_command_complains_of_is_part_of_the_reason(through: Cluster, tmp_path: Path) -> None:
    program = tmp_path / "session"
    program.write_text(
        "#!/bin/sh\nexec >&2\necho; echo 'An error occurred: i-0123 is not connected'; exit 254\n"
    )
    program.chmod(0o755)
    there = with_ssh(through, proxy_command=f"{program} %h")
    with (
        pytest.raises(Unreachable, match=r"SSH does not answer \(.*; An error occurred: i-0123 is not conn"),
        connect(there, there.head),
    ):
        pass


def test_a_worker_is_reached_through_the_head(jumping: Cluster, network: Network, inner: Network) -> None:
    with connect(jumping, jumping.node("w1")) as remote:
        assert remote.run("echo here").stdout == "here\n"
    assert (network.opened, inner.opened) == (1, 1)


def test_a_worker_that_falls_silent_behind_a_head_that_does_not_is_noticed(
    jumping: Cluster, inner: Network
) -> None:
    with connect(jumping, jumping.node("w1")) as remote:
        result = ends(lambda: remote.run("echo up; sleep 100", on_line=lambda _: inner.swallow()))
    assert isinstance(result, Unreachable), result
    assert NOTHING_CAME in result.why


def test_a_head_that_falls_silent_ends_what_goes_through_it(jumping: Cluster, network: Network) -> None:
    with connect(jumping, jumping.node("w1")) as remote:
        result = ends(lambda: remote.run("echo up; sleep 100", on_line=lambda _: network.swallow()))
    assert isinstance(result, Unreachable), result
    assert NOTHING_CAME in result.why


def test_a_connection_through_a_head_that_is_gone_is_closed_all_the_same(
    jumping: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_channel: paramiko.Channel) -> None:
        raise EOFError

    with connect(jumping, jumping.node("w1")) as remote:
        transport = remote._session._transport
        with monkeypatch.context() as patched:
            patched.setattr(paramiko.Channel, "close", broken)
            transport.close()
    transport.join(HANGS)
    assert not transport.is_alive()


def test_a_silent_worker_ends_the_login_and_is_the_one_named(jumping: Cluster, inner: Network) -> None:
    inner.swallow()

    def login() -> None:
        with connect(jumping, jumping.node("w1")):
            pass

    result = ends(login)
    assert isinstance(result, Unreachable), result
    assert result.given.startswith("w1 ")
    assert "SSH does not answer" in result.why


def test_a_head_that_does_not_open_the_way_to_a_worker_is_waited_for_within_the_limit(
    jumping: Cluster, network: Network
) -> None:
    with connect(jumping, jumping.head) as head:
        network.swallow()
        forward = head._session.forward
        result = ends(lambda: forward("10.9.8.11", 22, limits.CONNECT))
    assert "Timeout opening channel" in str(result)

"""A network that swallows packets: every operation ends within its limit, and what follows reconnects."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import Unreachable
from bootstrap.ssh import limits
from bootstrap.ssh.reconnect import Link
from bootstrap.ssh.remote import TIMED_OUT, SshRemote, connect
from bootstrap.ssh.unit import Unit
from tests.bootstrap.local_node import LocalNode
from tests.bootstrap.network import HANGS, Network, ends
from tests.bootstrap.ssh_server import Door

BIG = 24 * 2**20
"""Bytes: more than the windows of SSH and the buffers of the kernel take."""
NOTHING_CAME = "the SSH connection broke: nothing came from the node"


@pytest.fixture
def remote(through: Cluster, network: Network) -> Iterator[SshRemote]:
    with connect(through, through.head) as opened:
        yield opened


def assert_unreachable(result: Any, reason: str) -> None:
    assert isinstance(result, Unreachable), result
    assert reason in result.why
    assert "fab doctor --stack dev" in result.fix


def test_the_limits_keep_what_the_documents_promise() -> None:
    assert limits.SILENCE + limits.CHECK < 60
    assert limits.KEEPALIVE < limits.SILENCE / 2


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("timeout", [0.5, 600.0])
def test_a_script_on_a_dead_connection_ends_at_its_time_out_or_at_the_limit_of_an_answer(
    remote: SshRemote, network: Network, timeout: float
) -> None:
    network.swallow()
    assert_unreachable(ends(lambda: remote.run("echo never", timeout=timeout)), "Timeout opening channel")


@pytest.mark.usefixtures("unwatched")
def test_a_command_whose_start_is_not_answered_ends_at_the_limit_of_an_answer(
    remote: SshRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Door, "check_channel_exec_request", lambda *_: threading.Event().wait(HANGS))
    assert_unreachable(ends(lambda: remote.run("echo never")), "no answer for 1 s")


@pytest.mark.usefixtures("unwatched")
def test_a_script_that_was_started_ends_at_its_time_out_with_what_it_wrote(
    remote: SshRemote, network: Network
) -> None:
    def swallow(_line: str) -> None:
        network.swallow()

    script = "echo first; sleep 0.2; echo second; sleep 100"
    result = ends(lambda: remote.run(script, check=False, timeout=1.0, on_line=swallow))
    assert (result.exit_code, result.stdout) == (TIMED_OUT, "first\n")


def test_a_script_that_streams_ends_when_nothing_comes_any_more(remote: SshRemote, network: Network) -> None:
    def swallow(_line: str) -> None:
        network.swallow()

    result = ends(lambda: remote.run("echo first; sleep 100", on_line=swallow))
    assert_unreachable(result, NOTHING_CAME)


def test_a_script_that_is_silent_for_longer_than_a_dead_connection_goes_on(remote: SshRemote) -> None:
    result = ends(lambda: remote.run(f"sleep {limits.SILENCE * 2}; echo done"))
    assert result.stdout == "done\n"


def test_a_script_that_closes_its_streams_and_runs_on_ends_at_its_time_out(remote: SshRemote) -> None:
    result = ends(lambda: remote.run("exec >&- 2>&-; sleep 100", check=False, timeout=0.5))
    assert result.exit_code == TIMED_OUT


def test_half_a_line_of_a_broken_connection_is_not_passed_on(remote: SshRemote, network: Network) -> None:
    lines: list[str] = []

    def swallow(line: str) -> None:
        lines.append(line)
        network.swallow()

    ends(lambda: remote.run("printf 'whole\\nhal'; sleep 100", on_line=swallow))
    assert lines == ["whole"]


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("deaf", [False, True], ids=["swallowed", "stopped"])
def test_a_file_that_is_sent_ends_when_it_stalls(
    remote: SshRemote, network: Network, node: LocalNode, deaf: bool
) -> None:
    source = node.folder / "source"
    source.write_bytes(bytes(BIG))
    network.swallow(after=2**20, deaf=deaf)
    result = ends(lambda: remote.put(source, str(node.folder / "there")))
    assert_unreachable(result, "nothing moved for 1 s")


def test_a_sender_that_is_blocked_in_writing_is_freed(
    remote: SshRemote, network: Network, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STALL", 600.0)
    # A window that never ends: only the kernel's buffers stop the sender, inside the lock of the connection.
    monkeypatch.setattr(paramiko.Channel, "_wait_for_send_window", lambda _, size: size)
    network.swallow(after=2**20, deaf=True)
    result = ends(lambda: remote.put(bytes(BIG), str(node.folder / "there")))
    assert_unreachable(result, NOTHING_CAME)


@pytest.mark.usefixtures("unwatched")
def test_a_file_that_is_fetched_ends_when_it_stalls_and_leaves_nothing_here(
    remote: SshRemote, network: Network, node: LocalNode, tmp_path: Path
) -> None:
    source, here = node.folder / "source", tmp_path / "here" / "file"
    source.write_bytes(bytes(BIG))
    network.swallow(after=2**20)
    assert_unreachable(ends(lambda: remote.get(str(source), here)), "nothing moved for 1 s")
    assert list(here.parent.iterdir()) == []


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("transfer", ["put", "get"])
def test_a_transfer_that_moves_slowly_may_take_longer_than_the_limit(
    remote: SshRemote, node: LocalNode, transfer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = node.folder / "source", node.folder / "target"
    source.write_bytes(bytes(2**20))
    monkeypatch.setattr(limits, "STALL", 0.4)
    slow = paramiko.SFTPHandle.read if transfer == "get" else paramiko.SFTPHandle.write

    def slowly(*arguments: Any) -> Any:
        threading.Event().wait(0.03)
        return slow(*arguments)

    monkeypatch.setattr(paramiko.SFTPHandle, slow.__name__, slowly)
    if transfer == "put":
        remote.put(source, str(target))
    else:
        remote.get(str(source), target)
    assert target.stat().st_size == 2**20


@pytest.mark.usefixtures("unwatched")
def test_a_transfer_to_a_dead_connection_ends_before_it_begins(
    remote: SshRemote, network: Network, node: LocalNode
) -> None:
    network.swallow()
    result = ends(lambda: remote.put(b"text", str(node.folder / "there")))
    assert_unreachable(result, "Timeout opening channel")


@pytest.mark.parametrize("after", [0, 1000], ids=["banner", "keys"])
def test_a_login_that_is_not_answered_ends(through: Cluster, network: Network, after: int) -> None:
    network.swallow(after=after)
    result = ends(lambda: login(through))
    assert isinstance(result, Unreachable), result
    assert "SSH does not answer (no answer for 1 s)" in result.why


def test_a_login_that_is_not_answered_after_the_key_was_shown_does_not_blame_the_key(
    through: Cluster, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = Door.check_auth_publickey

    def swallow(*arguments: Any) -> int:
        network.swallow()
        return accept(*arguments)

    monkeypatch.setattr(Door, "check_auth_publickey", swallow)
    result = ends(lambda: login(through))
    assert isinstance(result, Unreachable), result
    assert "SSH does not answer (Authentication timeout" in result.why


def login(cluster: Cluster) -> None:
    with connect(cluster, cluster.head):
        pass


def test_an_idle_connection_that_died_is_noticed_and_closed(remote: SshRemote, network: Network) -> None:
    assert remote.run("echo alive").stdout == "alive\n"
    network.swallow()
    transport = remote._session._transport
    transport.join(HANGS)
    assert not transport.is_alive()
    assert_unreachable(ends(lambda: remote.run("echo never")), NOTHING_CAME)


def test_what_follows_a_unit_comes_back_after_the_network_forgot_it(
    through: Cluster, network: Network, node: LocalNode
) -> None:
    lines: list[str] = []
    gate = node.folder / "gate"

    def recover() -> None:
        network.recover()
        gate.touch()

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "line 3":
            network.swallow()
            recovery = threading.Timer(2.5, recover)
            recovery.daemon = True
            recovery.start()

    script = f"for i in 1 2 3; do echo line $i; done; while [ ! -e {gate} ]; do sleep 0.05; done; echo line 4"
    with Link(through) as link:
        unit = Unit(link.remote, "job-1", str(node.folder / "unit"))
        unit.start(f"{script}; exit 3")
        assert ends(lambda: unit.follow(on_line, reconnect=link.reconnect)) == 3
    assert lines == [f"line {i}" for i in range(1, 5)]
    assert network.opened > 1


def test_a_node_that_lets_in_and_never_answers_is_given_up(
    through: Cluster, node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RECOVER", 1.0)
    with Link(through) as link:
        unit = Unit(link.remote, "job-1", str(node.folder / "unit"))
        unit.start("sleep 100")
        (node.bin / "sh").symlink_to("/bin/false")
        result = ends(lambda: unit.follow(lambda _: None, reconnect=link.reconnect))
    assert isinstance(result, Unreachable), result
    assert "reading its log failed" in result.why

"""A head behind a network that can swallow packets, and limits that a test can wait for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bootstrap.cluster import Cluster, Node
from bootstrap.ssh import limits, reconnect
from bootstrap.ssh import remote as remote_module
from infra.keys import SshKeyProvider
from tests.bootstrap.local_node import LocalNode
from tests.bootstrap.network import Network
from tests.bootstrap.ssh_server import Door, Server
from tests.outputs import outputs_of


@pytest.fixture
def node(tmp_path: Path) -> LocalNode:
    """A node on which commands run."""
    return LocalNode(tmp_path)


class _Opened(LocalNode):
    alive = True


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Connections opened and closed, by the node's name; each is a stand-in with a folder of its own."""
    seen: list[str] = []

    @contextmanager
    def connect(_: Cluster, node: Node) -> Iterator[LocalNode]:
        seen.append(f"open {node.name}")
        folder = tmp_path / str(len(seen))
        folder.mkdir()
        yield _Opened(folder)
        seen.append(f"close {node.name}")

    for module in (remote_module, reconnect):
        monkeypatch.setattr(module, "connect", connect)
    return seen


@pytest.fixture
def server() -> Iterator[Server]:
    """The head's SSH server."""
    made = Server()
    yield made
    made.close()


@pytest.fixture
def network(server: Server) -> Iterator[Network]:
    """The way to the head."""
    made = Network(server.port)
    yield made
    made.close()


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that pass within two seconds."""
    for name, seconds in (
        ("CONNECT", 1.0),
        ("PROXY", 1.5),
        ("ANSWER", 1.0),
        ("STALL", 1.0),
        ("KEEPALIVE", 0.5),
        ("SILENCE", 1.5),
        ("CHECK", 0.1),
        ("PAUSE", 0.2),
    ):
        monkeypatch.setattr(limits, name, seconds)


@pytest.fixture
def through(
    network: Network,
    server: Server,
    node: LocalNode,
    cluster: Cluster,
    short_limits: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Cluster:
    """The cluster, with its head behind the network; its commands run on `node`."""
    pair = outputs_of(SshKeyProvider(), purpose="operator")
    path = f"{node.bin}:/usr/sbin:/usr/bin:/sbin:/bin"
    node.fake("install", 'for last; do file=$before; before=$last; done; exec cp "$file" "$last"')
    server.door = Door(pair["public_key"], {"PATH": path, "FAKE_STATE": f"{node.folder}/state"})
    monkeypatch.setattr(remote_module, "SCRATCH", str(node.folder / "state"))
    there = server.holds(cluster, pair["private_key"], server.host_key)
    return there.model_copy(update={"ssh": there.ssh.model_copy(update={"port": network.port})})


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave each operation to its own limit."""
    monkeypatch.setattr(limits, "SILENCE", 600.0)

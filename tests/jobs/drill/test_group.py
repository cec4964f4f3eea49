"""The imitated group, on nodes that are this machine's own shell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import CommandFailed, Unreachable
from bootstrap.ssh.remote import Result
from jobs.drill import group
from jobs.drill.cloud import NodeServer
from jobs.drill.containers import Containers
from jobs.drill.group import Group
from jobs.drill.record import Record


class Killed(Containers):
    """Containers that note what is done to them."""

    done: list[str]

    def kill(self, node: str) -> None:
        self.done.append(f"kill {node}")

    def cut(self, node: str) -> None:
        self.done.append(f"cut {node}")

    def heal(self, node: str) -> None:
        self.done.append(f"heal {node}")


@dataclass
class World:
    """A group over a cluster whose nodes note the scripts that they get."""

    group: Group
    record: Record
    servers: dict[str, NodeServer]
    done: list[str]
    scripts: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    reads: bool = True


@pytest.fixture
def world(cluster: Cluster, tmp_path: Path) -> Iterator[World]:
    done: list[str] = []
    containers = Killed("dev", "podman")
    object.__setattr__(containers, "done", done)
    servers = {node.name: NodeServer("127.0.0.1", node, lambda *_: None) for node in cluster.workers}
    record = Record()

    class Scripted:
        def __init__(self, node: Node) -> None:
            self.node = node

        def run(self, script: str, **_: object) -> Result:
            made.scripts[self.node.name] = script
            if made.reads:
                servers[self.node.name].metadata.token("60", forwarded=False)
            return Result(0, "", "")

    @contextmanager
    def connect(_: Cluster, node: Node) -> Iterator[Scripted]:
        if node.name in made.gone:
            raise Unreachable(node.name, "it is gone", "")
        yield Scripted(node)

    def repair(log: Path) -> None:
        done.append(f"repair, log {log.name}")

    made_group = Group(cluster, containers, servers, record, repair, open_connection=connect)  # type: ignore[arg-type]
    made_group.log_to(tmp_path / "the.log")
    made = World(made_group, record, servers, done)
    yield made
    for server in servers.values():
        server.server_close()


def kinds(world: World) -> list[tuple[str, str]]:
    return [(mark.kind, mark.node) for mark in world.record.marks]


def announced(world: World, node: str) -> bool:
    metadata = world.servers[node].metadata
    token = metadata.token("60", forwarded=False)[1]
    return metadata.get("/latest/meta-data/spot/instance-action", token)[0] == 200


def test_an_announcement_reaches_the_nodes_that_are_meant(world: World) -> None:
    world.group.announce(["w2"], 1_795_978_500.0)
    assert (announced(world, "w1"), announced(world, "w2")) == (False, True)
    assert kinds(world) == [("announced", "w2")]
    world.group.withdraw(["w2"])
    assert not announced(world, "w2")


def test_nodes_are_taken_together(world: World) -> None:
    world.group.take(["w1", "w2"])
    assert sorted(world.done) == ["kill w1", "kill w2"]
    assert kinds(world) == [("taken", "w1"), ("taken", "w2")]


def test_a_replacement_is_provisioned_and_watches_for_notices_of_its_own(world: World) -> None:
    world.group.announce(["w2"], 1_795_978_500.0)
    world.group.replace(["w2"])
    assert world.done == ["repair, log the.log"]
    assert not announced(world, "w2"), "the new machine is another one"
    assert world.servers["w2"].url in world.scripts["w2"]
    assert "bootstrap.join.on_node.boot watch" in world.scripts["w2"]
    assert "w1" not in world.scripts
    assert kinds(world)[1:] == [("replacing", "w2"), ("replaced", "w2")]


def test_a_service_that_does_not_reach_its_metadata_is_no_drill(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "STARTING", 0.05)
    monkeypatch.setattr(group, "PAUSE", 0.01)
    world.reads = False
    with pytest.raises(
        CommandFailed, match=r"w1: its service has not read http://127\.0\.0\.1:\d+ in 0\.05 s"
    ):
        world.group.watch(["w1", "w2"])


def test_a_partition_is_cut_and_healed(world: World) -> None:
    world.group.cut(["w2"])
    world.group.heal(["w2"])
    assert world.done == ["cut w2", "heal w2"]
    assert kinds(world) == [("cut", "w2"), ("healed", "w2")]


def test_the_service_is_removed_from_every_node_that_is_there(world: World) -> None:
    world.gone = {"w1"}
    world.group.unwatch(["w1", "w2"])
    assert list(world.scripts) == ["w2"]
    assert "systemctl stop caffe-spark-watch.service" in world.scripts["w2"]

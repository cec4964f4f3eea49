"""Connections that stay open between uses."""

from __future__ import annotations

import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, Unreachable
from bootstrap.ssh.kept import Kept
from tests.at_once import at_once


def test_every_use_of_a_node_has_the_same_connection_until_the_end(
    cluster: Cluster, events: list[str]
) -> None:
    def use(name: str) -> None:
        with connections.connect(cluster, cluster.node(name)) as remote:
            remote.run("true")

    with Kept() as connections:
        at_once(*[lambda: use("head"), lambda: use("w1")] * 3)
        assert sorted(events) == ["open head", "open w1"]
    assert sorted(events[2:]) == ["close head", "close w1"]


def test_a_connection_that_has_ended_is_replaced(cluster: Cluster, events: list[str]) -> None:
    with Kept() as connections:
        with connections.connect(cluster, cluster.head) as first:
            first.alive = False  # type: ignore[misc]
        with connections.connect(cluster, cluster.head) as second:
            assert second is not first
    assert events == ["open head", "close head", "open head", "close head"]


def test_so_is_one_on_which_the_node_did_not_answer(cluster: Cluster, events: list[str]) -> None:
    with Kept() as connections:
        with pytest.raises(Unreachable), connections.connect(cluster, cluster.head):
            raise Unreachable("head", "no answer", "Wait.")
        with connections.connect(cluster, cluster.head):
            pass
    assert events == ["open head", "close head", "open head", "close head"]


def test_a_command_that_fails_leaves_it_open(cluster: Cluster, events: list[str]) -> None:
    with Kept() as connections:
        with pytest.raises(CommandFailed), connections.connect(cluster, cluster.head) as remote:
            remote.run("exit 1")
        with connections.connect(cluster, cluster.head) as again:
            assert again is remote
    assert events == ["open head", "close head"]

"""Links to a node, and attempts to reconnect."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import Unreachable
from bootstrap.ssh.reconnect import Link, reconnect_within
from bootstrap.ssh.remote import Remote
from tests.bootstrap.local_node import LocalNode


def test_a_link_opens_at_first_use_and_is_shared_until_it_is_closed(
    cluster: Cluster, events: list[str]
) -> None:
    with Link(cluster) as link:
        assert events == []
        assert link.remote is link.remote
        assert events == ["open head"]
    assert events == ["open head", "close head"]


def test_reconnecting_closes_the_connection_before(cluster: Cluster, events: list[str]) -> None:
    with Link(cluster, cluster.node("w1")) as link:
        first = link.remote
        assert link.reconnect() is link.remote is not first
    assert events == ["open w1", "close w1", "open w1", "close w1"]


def test_attempts_go_on_until_one_succeeds(tmp_path: Path) -> None:
    node, failures = LocalNode(tmp_path), [Unreachable("head", "SSH does not answer", "Wait.")]

    def attempt() -> Remote:
        if failures:
            raise failures.pop()
        return node

    assert reconnect_within(attempt, 10) is node


def test_attempts_end_with_the_last_reason() -> None:
    reasons = ["first", "second", "third", "fourth", "fifth"]

    def attempt() -> Remote:
        raise Unreachable("head", reasons.pop(0), "Wait.")

    with pytest.raises(Unreachable, match="second"):
        reconnect_within(attempt, 0.3)

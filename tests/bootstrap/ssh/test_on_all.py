"""Work on all nodes in parallel."""

from __future__ import annotations

import signal
import threading

import pytest

from bootstrap.cluster import Cluster, Node
from bootstrap.ssh.on_all import OnAll, on_all


def test_results_come_in_the_nodes_order_whichever_ends_first(cluster: Cluster) -> None:
    last_ended = threading.Event()

    def work(node: Node) -> str:
        if node.name == "w2":
            last_ended.set()
        else:
            assert last_ended.wait(10)  # all nodes run at the same time, or this never comes
        return node.name

    assert on_all(cluster.nodes, work) == ["head", "w1", "w2"]


def test_an_error_is_raised_once_all_nodes_have_ended_the_first_nodes_first(cluster: Cluster) -> None:
    ended: list[str] = []

    def work(node: Node) -> None:
        if node.name == "head":
            ended.append(node.name)
        else:
            raise KeyError(node.name)

    with pytest.raises(KeyError, match="w1"):
        on_all(cluster.nodes, work)
    assert ended == ["head"]


def test_no_nodes_are_no_work() -> None:
    assert on_all([], lambda node: node.name) == []


def test_ctrl_c_does_not_wait_for_the_nodes(cluster: Cluster) -> None:
    release, main = threading.Event(), threading.get_ident()
    work = OnAll(cluster.nodes, lambda _: release.wait(30))
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()

    with pytest.raises(KeyboardInterrupt):
        work.results()

    assert not release.is_set()
    release.set()
    work.join(10)
    assert work.results() == [True, True, True]


def test_join_gives_up_after_its_time_out(cluster: Cluster) -> None:
    release = threading.Event()
    work = OnAll(cluster.nodes, lambda _: release.wait(30))
    work.join(0.05)
    release.set()
    assert work.results() == [True, True, True]

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bootstrap.cluster import Cluster, ClusterDocument, Node
from bootstrap.errors import StackError
from tests.bootstrap.hdinsight_cluster import hdinsight
from tests.conftest import HOST_KEY

__all__ = ["hdinsight"]

NODES = tuple(Node(name=name, address="10.0.0.9", host_key=HOST_KEY) for name in ("hn0", "wn0", "wn1"))


def test_the_head_comes_first_and_workers_in_their_order(cluster: Cluster) -> None:
    assert [node.name for node in cluster.nodes] == ["head", "w1", "w2"]
    assert cluster.node("w2").address == "10.9.8.12"


def test_an_unknown_node_lists_the_known_ones(cluster: Cluster) -> None:
    with pytest.raises(StackError, match="node 'w9': stack 'dev' has head, w1, w2"):
        cluster.node("w9")


def test_resolved_nodes_replace_the_declared_ones_and_nothing_else(hdinsight: ClusterDocument) -> None:
    cluster = Cluster.of(hdinsight, head=NODES[0], workers=NODES[1:])
    assert cluster.nodes == NODES
    assert (hdinsight.worker_count, cluster.worker_count) == (3, 2)
    assert (cluster.members, cluster.storage, cluster.roles) == (
        hdinsight.members,
        hdinsight.storage,
        hdinsight.roles,
    )
    assert Cluster.of(cluster, workers=NODES[1:]) == cluster


def test_a_cluster_requires_workers_and_known_host_keys(hdinsight: ClusterDocument) -> None:
    with pytest.raises(ValidationError, match="workers"):
        Cluster.of(hdinsight, head=NODES[0], workers=())
    with pytest.raises(ValidationError, match="head"):
        Cluster.of(hdinsight, workers=NODES[1:])
    with pytest.raises(ValidationError, match="host_key"):
        Node(name="w1", address="10.0.0.9", host_key="")


def test_secrets_do_not_print(cluster: Cluster) -> None:
    assert "PRIVATE" not in f"{cluster!r} {cluster}"
    assert "not-to-be-seen" not in f"{cluster!r} {cluster}"


def test_the_key_of_the_storage_account_is_a_secret_of_the_nodes(yarn_cluster: Cluster) -> None:
    assert "bm90LXRvLWJlLXNlZW4=" in yarn_cluster.secrets
    assert "bm90LXRvLWJlLXNlZW4=" not in f"{yarn_cluster!r} {yarn_cluster}"

from __future__ import annotations

import json

import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import StackError


def test_the_head_comes_first_and_workers_in_their_order(cluster: Cluster) -> None:
    assert [node.name for node in cluster.nodes] == ["head", "w1", "w2"]
    assert cluster.node("w2").address == "10.9.8.12"


def test_an_unknown_node_lists_the_known_ones(cluster: Cluster) -> None:
    with pytest.raises(StackError, match="node 'w9': stack 'dev' has head, w1, w2"):
        cluster.node("w9")


@pytest.mark.parametrize("as_text", [False, True])
def test_it_is_read_from_a_stacks_outputs(cluster_document: dict[str, object], as_text: bool) -> None:
    output = json.dumps(cluster_document) if as_text else cluster_document
    assert Cluster.from_outputs("dev", {"cluster": output, "other": 1}).stack == "dev"


def test_a_stack_without_the_output_says_what_it_exports() -> None:
    with pytest.raises(StackError, match=r"no output `cluster` \(it exports: vpc\).*pulumi up --stack dev"):
        Cluster.from_outputs("dev", {"vpc": 1})


def test_another_version_is_refused(cluster_document: dict[str, object]) -> None:
    with pytest.raises(StackError, match="has version 2, this project reads 1"):
        Cluster.from_outputs("dev", {"cluster": {**cluster_document, "version": 2}})


@pytest.mark.parametrize("change", [{"workers": []}, {"surprise": 1}, {"spark_master": None}])
def test_a_wrong_shape_names_the_place_and_shows_no_secret(
    cluster_document: dict[str, object], change: dict[str, object]
) -> None:
    with pytest.raises(StackError, match=f"not valid.*{next(iter(change))}") as caught:
        Cluster.from_outputs("dev", {"cluster": {**cluster_document, **change}})
    assert "PRIVATE" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secrets_do_not_print(cluster: Cluster) -> None:
    assert "PRIVATE" not in f"{cluster!r} {cluster}"
    assert "not-to-be-seen" not in f"{cluster!r} {cluster}"


# ---- clusters of HDInsight's shape

HDINSIGHT = {
    "subscription": "s",
    "resource_group": "g",
    "name": "n",
    "region": "westeurope",
    "artifacts": "wasbs://artifacts@account1.blob.core.windows.net",
    "workers": 3,
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"blob": None}, "blob: it belongs to a shared_storage of wasb"),
        ({"shared_storage": "hdfs://head:9000"}, "blob: it belongs"),
        ({"yarn": None}, "yarn: it belongs to a spark_master of yarn"),
        ({"spark_master": "spark://head:7077"}, "yarn: it belongs"),
        ({"workers": []}, "workers: there is none"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    yarn_document: dict[str, object], change: dict[str, object], words: str
) -> None:
    with pytest.raises(StackError, match=words):
        Cluster.from_outputs("dev", {"cluster": {**yarn_document, **change}})


def test_nodes_with_yarn_run_an_hdfs_of_their_own_beside_the_blobs(
    cluster: Cluster, yarn_cluster: Cluster
) -> None:
    assert (yarn_cluster.hdfs, yarn_cluster.on_hdfs) == ("hdfs://head:9000", False)
    assert (cluster.hdfs, cluster.on_hdfs) == ("hdfs://head:9000", True)


def test_only_clusters_of_hdinsights_shape_take_script_actions(
    cluster: Cluster, yarn_cluster: Cluster
) -> None:
    assert yarn_cluster.takes_script_actions
    assert not cluster.takes_script_actions


def test_hdinsight_names_no_workers_and_has_one_role(yarn_document: dict[str, object]) -> None:
    document = {**yarn_document, "provider": "azure", "workers": [], "hdinsight": HDINSIGHT}
    cluster = Cluster.from_outputs("azure", {"cluster": document})
    assert cluster.workers == ()
    assert cluster.roles == ("hdinsight",)
    assert cluster.hdfs == ""
    assert cluster.takes_script_actions


def test_the_key_of_the_storage_account_is_a_secret_of_the_nodes(yarn_cluster: Cluster) -> None:
    assert "bm90LXRvLWJlLXNlZW4=" in yarn_cluster.secrets
    assert "bm90LXRvLWJlLXNlZW4=" not in f"{yarn_cluster!r} {yarn_cluster}"

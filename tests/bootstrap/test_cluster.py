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

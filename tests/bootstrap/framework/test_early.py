"""A build that starts while a new cluster is provisioned."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap.cluster import S3, Blob, Cluster, Hdfs
from bootstrap.engine.plan import compile_role
from bootstrap.engine.role import load_role
from bootstrap.errors import ConfigError
from bootstrap.framework import build, cache, early, early_build, steps
from bootstrap.framework.key import inputs_of, key_of
from bootstrap.framework.recipe import Recipe
from bootstrap.ssh.unit import Unit
from tests.bootstrap.framework.conftest import FACTS
from tests.bootstrap.local_node import LocalNode


class Head:
    """A stand-in for the head, on which the early work is done."""

    def __init__(self, node: LocalNode, recipe: Recipe, cluster: Cluster) -> None:
        self.node, self.recipe, self.cluster = node, recipe, cluster
        self.key = key_of(inputs_of(recipe, FACTS))
        self.text = io.StringIO()

    def work(self) -> None:
        """Do the work."""
        found = early_build(self.cluster, self.recipe, Console(file=self.text, width=300))
        assert found is not None
        found.work(self.node)

    @property
    def built(self) -> bool:
        """True if the build's unit has been started, and comes to its end."""
        unit = Unit(self.node, build.unit_name(self.key), str(self.node.folder / "build"))
        return unit.follow(lambda _: None) == 0


@pytest.fixture
def head(
    tmp_path: Path, rewrite: Callable[..., Recipe], cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> Head:
    (tmp_path / "node").mkdir()
    monkeypatch.setattr(early, "read_facts", lambda _: FACTS)
    monkeypatch.setattr(early, "distributions", lambda _: {"w1": FACTS.distribution})
    monkeypatch.setattr(steps, "folder_of", lambda _: str(tmp_path / "node" / "build"))
    monkeypatch.setattr(build, "script", lambda *_: "echo built")
    return Head(LocalNode(tmp_path / "node"), rewrite(), cluster)


def test_the_build_of_this_key_starts(head: Head) -> None:
    head.work()
    assert head.built
    assert f"key {head.key}, beside the steps" in head.text.getvalue()


def test_what_the_operators_cache_has_is_not_built(head: Head) -> None:
    cache.folder(head.key).mkdir(parents=True)
    head.work()
    assert not head.built


def test_workers_of_another_distribution_are_refused(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "distributions", lambda _: {"w1": "ubuntu-22.04"})
    with pytest.raises(ConfigError, match="w1 is ubuntu"):
        head.work()
    assert not head.built


def test_storage_that_is_older_than_the_nodes_is_asked_first(head: Head) -> None:
    for storage in (S3(uri="s3a://bucket"), Blob(uri="wasbs://data@account1.blob.core.windows.net")):
        away = head.cluster.model_copy(update={"storage": storage})
        assert early_build(away, head.recipe, Console()) is None


def test_the_step_that_makes_storage_is_one_of_the_heads(head: Head) -> None:
    served = Blob(uri="wasb://data@account1.blob.core.windows.net", server="10.9.8.10")
    for storage in (Hdfs(uri="hdfs://head:9000"), served):
        assert storage.made_by is not None
        role, step = storage.made_by
        cluster = head.cluster.model_copy(update={"storage": storage})
        commands = compile_role(load_role(role), cluster, cluster.head, {})
        assert step in [command.name for command in commands]

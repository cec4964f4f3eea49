"""`fab clean` on a stand-in head; what nodes tell of theirs is given."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap import leftovers, paths
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError
from bootstrap.leftovers import Leftover, Silent
from bootstrap.ssh import reconnect as link
from bootstrap.storage.hadoop import SharedStorage
from jobs.backends.head_records import place_of
from jobs.backends.standalone import StandaloneBackend
from jobs.job import SubmittedJob
from jobs.run import clean as cleaning
from jobs.run.clean import EMPTY, in_storage
from tests.bootstrap.local_node import HDFS, LocalNode
from tests.jobs.specs import mnist_spec

ON_NODES = [
    Leftover("w1", "/var/lib/spark/work/app-1/0/mnist", 3_000_000_000, "copies of an ended executor"),
    Leftover("w1", "/var/lib/spark/work/app-2/0/mnist", 900_000_000, "copies of an ended executor"),
    Leftover("head", "/tmp/spark-1", 4096, "temporary files of an ended process"),
]


class World:
    def __init__(self, tmp_path: Path, cluster: Cluster) -> None:
        (tmp_path / "node").mkdir()
        self.cluster, self.node, self.out = cluster, LocalNode(tmp_path / "node"), io.StringIO()
        self.node.fake("hdfs", HDFS)
        self.storage = self.node.folder / "state" / "dfs"
        self.on_nodes: list[Leftover] = []
        self.silent: list[Silent] = []
        self.removing: list[bool] = []

    @contextmanager
    def connect(self, _: Cluster, __: Node) -> Iterator[LocalNode]:
        yield self.node

    def job(self, name: str, *files: str) -> Path:
        folder = self.storage / "jobs" / name
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("x")
        return folder

    def recorded(self, name: str) -> None:
        place = place_of(self.cluster, name)
        Path(place.folder).mkdir(parents=True)
        Path(place.folder, "job.json").write_text(SubmittedJob(mnist_spec(), "key", place).dump())

    def clean(self, *, dry_run: bool = False) -> list[str]:
        console = Console(file=self.out, width=200)
        found = cleaning.clean(self.cluster, console, dry_run=dry_run, connect=self.connect)
        return [one.path for one in found]

    def left(self) -> list[str]:
        return sorted(path.name for path in (self.storage / "jobs").iterdir())


@pytest.fixture
def world(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path, cluster)
    monkeypatch.setattr(paths, "JOBS", str(tmp_path / "jobs"))
    monkeypatch.setattr(link, "connect", made.connect)
    monkeypatch.setattr(SharedStorage, "require_writable", lambda self: None)

    def on_nodes(_: Cluster, *, removing: bool, connect: Any) -> tuple[list[Leftover], list[Silent]]:
        made.removing.append(removing)
        return made.on_nodes, made.silent

    monkeypatch.setattr(leftovers, "on_nodes", on_nodes)
    return made


def test_folders_of_jobs_that_stored_nothing_go_and_results_stay(world: World) -> None:
    world.job("mnist-1")
    world.job("mnist-2", "mnist.model.generation")
    world.job("mnist-3", "mnist.model.generation", "stop", "mnist.model.h5.generation")
    world.job("mnist-4", "mnist.model")
    world.job("mnist-5", "mnist.model.generation", "mnist.model")
    world.job("mnist-6", "features/part-0")
    world.job("Somebody's", "stop")

    assert world.clean() == ["/jobs/mnist-1", "/jobs/mnist-2", "/jobs/mnist-3"]
    assert world.left() == ["Somebody's", "mnist-4", "mnist-5", "mnist-6"]
    assert "Removed 3 leftovers of ended jobs, " in world.out.getvalue()


def test_a_dry_run_removes_nothing(world: World) -> None:
    world.job("mnist-1")
    world.on_nodes = ON_NODES

    assert world.clean(dry_run=True) == [*(one.path for one in ON_NODES), "/jobs/mnist-1"]
    assert (world.left(), world.removing) == (["mnist-1"], [False])
    assert "4 leftovers of ended jobs, 3.9 GB: `fab clean` removes them." in world.out.getvalue()


def test_a_second_run_finds_nothing(world: World) -> None:
    world.job("mnist-1")

    assert world.clean() == ["/jobs/mnist-1"]
    assert world.clean() == []
    assert world.out.getvalue().endswith("Nothing is left of ended jobs.\n")


def test_a_running_jobs_folder_stays(world: World) -> None:
    world.job("mnist-1")
    world.job("mnist-2", "mnist.model.generation")
    world.node.run("systemd-run --unit=caffe-spark-job-mnist-2 sleep 60")
    try:
        assert world.clean() == ["/jobs/mnist-1"]
        assert world.left() == ["mnist-2"]
    finally:
        world.node.run("systemctl stop caffe-spark-job-mnist-2")


def test_a_job_that_lost_its_unit_and_runs_in_the_cluster_manager_keeps_its_folder(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.recorded("mnist-1")
    world.job("mnist-1", "mnist.model.generation")
    monkeypatch.setattr(StandaloneBackend, "unfinished", lambda *_: True)

    assert world.clean() == []
    assert world.left() == ["mnist-1"]


def test_a_job_that_begins_meanwhile_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it stores between the look and the removal keeps its folder."""
    folder = world.job("mnist-1")
    original = cleaning._removed

    def removed(storage: SharedStorage, one: Leftover) -> Leftover:
        (folder / "mnist.model").write_text("x")
        return original(storage, one)

    monkeypatch.setattr(cleaning, "_removed", removed)

    with pytest.raises(
        JobError, match=r"storage: /jobs/mnist-1: it cannot be removed: a file has been stored"
    ):
        world.clean()
    assert (folder / "mnist.model").exists()


def test_leftovers_of_nodes_are_told_by_node_and_kind_with_their_bytes(world: World) -> None:
    world.on_nodes = ON_NODES

    world.clean()

    rows = [line.split() for line in world.out.getvalue().splitlines()]
    assert ["w1", *"copies of an ended executor".split(), "2", "3,900,000,000", ON_NODES[0].path] in rows
    assert "Removed 3 leftovers of ended jobs, 3.9 GB." in world.out.getvalue()
    assert world.removing == [True]


def test_what_could_not_be_removed_is_an_error_after_the_rest_is_told(world: World) -> None:
    world.on_nodes = [*ON_NODES, Leftover("w2", "/var/lib/spark/tmp/x", 1, "files", "busy")]

    with pytest.raises(JobError, match=r"w2: /var/lib/spark/tmp/x: it cannot be removed: busy"):
        world.clean()
    assert "Removed 3 leftovers" in world.out.getvalue()


def test_a_node_that_does_not_answer_is_an_error_after_the_rest_is_told(world: World) -> None:
    world.on_nodes, world.silent = ON_NODES, [Silent("w2", "SSH does not answer")]

    with pytest.raises(JobError, match=r"w2: its leftovers are not known: SSH does not answer\. Run `pulumi"):
        world.clean()
    assert "Removed 3 leftovers" in world.out.getvalue()


def test_storage_without_jobs_has_nothing_left(world: World) -> None:
    assert in_storage(SharedStorage(world.node, world.cluster.shared_storage)) == []
    assert EMPTY not in world.out.getvalue()

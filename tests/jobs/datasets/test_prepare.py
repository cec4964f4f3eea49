"""The data set in shared storage: there once, whole, and only of the pinned files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError
from bootstrap.storage.hadoop import SharedStorage
from jobs.datasets import prepare as data
from jobs.datasets.mnist import FILES
from tests.at_once import at_once
from tests.bootstrap.local_node import HDFS, LocalNode
from tests.jobs.specs import mnist_spec

CONVERT = """#!/bin/sh
[ "$(head -c 3 "$1")" = raw ] || { echo "Invalid magic" >&2; exit 1; }
mkdir "$3"; cat "$1" "$2" >"$3/data.mdb"; touch "$3/lock.mdb"
"""


class World:
    """A stand-in head, with a converter that only concatenates."""

    def __init__(self, tmp_path: Path, cluster: Cluster) -> None:
        (tmp_path / "node").mkdir()
        self.node, self.cluster = LocalNode(tmp_path / "node"), cluster
        self.node.fake("hdfs", HDFS)
        self.dfs = self.node.folder / "state" / "dfs"
        self.converter = tmp_path / "convert"
        self.converter.write_text(CONVERT)
        self.converter.chmod(0o755)
        self.raw = {name: tmp_path / name for name in FILES}
        for name, path in self.raw.items():
            path.write_bytes(b"raw " + name.encode())
        self.downloads = 0
        self.out = io.StringIO()

    def download(self) -> dict[str, Path]:
        self.downloads += 1
        return self.raw

    def ensure(self) -> None:
        data.ensure_data(self.cluster, mnist_spec(), Console(file=self.out, width=200))


@pytest.fixture
def world(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path, cluster)

    @contextmanager
    def connect(_: Cluster, node: Node) -> Iterator[LocalNode]:
        yield made.node

    monkeypatch.setattr(data, "connect", connect)
    monkeypatch.setattr(data, "STAGING", str(tmp_path / "staging"))
    monkeypatch.setattr(data, "CONVERT", str(made.converter))
    monkeypatch.setattr(data, "ensure_files", made.download)
    monkeypatch.setattr(SharedStorage, "require_writable", lambda self: None)
    return made


def test_it_is_converted_and_put_into_storage_once(world: World, tmp_path: Path) -> None:
    world.ensure()
    world.ensure()

    assert world.downloads == 1
    folder = world.dfs / "data" / "mnist"
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "manifest.json",
        "test_lmdb/data.mdb",
        "train_lmdb/data.mdb",
    ]
    assert (folder / "train_lmdb/data.mdb").read_bytes() == (
        b"raw train-images-idx3-ubyteraw train-labels-idx1-ubyte"
    )
    assert json.loads((folder / "manifest.json").read_text())["inputs"] == FILES
    assert "is there" in world.out.getvalue()
    assert list((tmp_path / "staging").iterdir()) == []


def test_data_of_other_files_is_replaced(world: World) -> None:
    folder = world.dfs / "data" / "mnist"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"inputs": {"train-images-idx3-ubyte": "0000"}}')

    world.ensure()

    assert world.downloads == 1
    assert json.loads((folder / "manifest.json").read_text())["inputs"] == FILES


@pytest.mark.parametrize("manifest", [None, b"", b"[]", b"{}", b'{"inputs": {}}', b"\xff"])
def test_only_a_manifest_of_the_pinned_files_counts(manifest: bytes | None) -> None:
    assert not data.is_present(manifest)


def test_a_converter_that_fails_is_told_and_nothing_is_put(world: World, tmp_path: Path) -> None:
    world.raw["t10k-images-idx3-ubyte"].write_bytes(b"odd")

    with pytest.raises(JobError, match="converting the data on head: Invalid magic"):
        world.ensure()

    assert not (world.dfs / "data" / "mnist").exists()
    assert list((tmp_path / "staging").iterdir()) == []


def test_two_operators_who_submit_at_once_both_have_it(world: World, tmp_path: Path) -> None:
    # A moment in each conversion, in which the other operator's is at work.
    world.converter.write_text(CONVERT.replace("mkdir", "sleep 0.1; mkdir"))
    folder = world.dfs / "data" / "mnist"

    at_once(world.ensure, world.ensure)

    assert is_whole(folder)
    assert list((tmp_path / "staging").iterdir()) == []
    assert sorted(path.name for path in folder.parent.iterdir()) == ["mnist"]


def test_what_somebody_else_has_put_there_meanwhile_is_not_taken_from_its_readers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download() -> dict[str, Path]:
        if not world.downloads:
            world.download()
            world.ensure()
            (world.dfs / "data" / "mnist" / "in use").touch()
        return world.raw

    monkeypatch.setattr(data, "ensure_files", download)
    world.ensure()
    assert (world.dfs / "data" / "mnist" / "in use").exists()
    assert is_whole(world.dfs / "data" / "mnist")


def is_whole(folder: Path) -> bool:
    found = {name: (folder / f"{name}_lmdb" / "data.mdb").read_bytes() for name in ("train", "test")}
    return found == {
        "train": b"raw train-images-idx3-ubyteraw train-labels-idx1-ubyte",
        "test": b"raw t10k-images-idx3-ubyteraw t10k-labels-idx1-ubyte",
    }


def test_a_job_without_a_data_set_needs_none(world: World) -> None:
    spec = mnist_spec().model_copy(update={"data": None})

    data.ensure_data(world.cluster, spec, Console(file=world.out))

    assert (world.downloads, world.node.scripts) == (0, [])

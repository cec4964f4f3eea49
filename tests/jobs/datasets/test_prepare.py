"""The data set in shared storage: there once, whole, and only of the pinned files."""

from __future__ import annotations

import io
import json
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster, Node
from bootstrap.errors import JobError
from bootstrap.storage.hadoop import SharedStorage
from jobs.datasets import mnist, workspace
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
    monkeypatch.setattr(workspace, "STAGING", str(tmp_path / "staging"))
    monkeypatch.setattr(mnist, "CONVERT", str(made.converter))
    monkeypatch.setattr(mnist, "ensure_files", made.download)
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


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        # As the manifest was before it had sizes and sums.
        (lambda place: (place / "manifest.json").write_text(json.dumps({"inputs": FILES})), "no sums of its"),
        (lambda place: (place / "train_lmdb/data.mdb").write_bytes(b"raw"), "another sha256"),
        (lambda place: (place / "test_lmdb/data.mdb").unlink(), "test_lmdb/data.mdb is missing"),
    ],
)
def test_a_set_that_does_not_match_its_manifest_is_rebuilt_once_and_told(
    world: World, harm: Callable[[Path], object], why: str
) -> None:
    world.ensure()
    harm(world.dfs / "data" / "mnist")
    world.out.truncate(0)

    world.ensure()

    assert f"{why}" in world.out.getvalue()
    assert "it is rebuilt now" in world.out.getvalue()
    assert is_whole(world.dfs / "data" / "mnist")
    world.ensure()
    assert world.downloads == 2


def test_what_an_interrupted_command_left_on_the_head_goes_after_a_day(world: World, tmp_path: Path) -> None:
    old, young = tmp_path / "staging" / "mnist-1", tmp_path / "staging" / "mnist-2"
    for folder in (old, young):
        folder.mkdir(parents=True)
    day = 25 * 3600
    os.utime(old, (time.time() - day, time.time() - day))

    world.ensure()

    assert [path.name for path in (tmp_path / "staging").iterdir()] == ["mnist-2"]


def test_large_raw_files_are_uploaded_in_little_memory(world: World, tmp_path: Path) -> None:
    sent: list[int] = []
    world.node.put = lambda data, path, **_: sent.append(data.stat().st_size)  # type: ignore[method-assign]
    with (tmp_path / "raw").open("wb") as file:
        file.truncate(64 << 20)

    tracemalloc.start()
    data.upload(world.node, {"raw": tmp_path / "raw"}, str(tmp_path / "staging" / "work"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(sent) == 1
    assert peak < 8 << 20


def test_a_converter_that_fails_is_told_and_nothing_is_put(world: World, tmp_path: Path) -> None:
    world.raw["t10k-images-idx3-ubyte"].write_bytes(b"odd")

    with pytest.raises(JobError, match="converting the data on head: Invalid magic"):
        world.ensure()

    assert not (world.dfs / "data" / "mnist").exists()
    assert list((tmp_path / "staging").iterdir()) == []


def test_two_operators_who_submit_at_once_both_have_it(world: World, tmp_path: Path) -> None:
    # A moment in each conversion, in which the other operator's could be at work.
    world.converter.write_text(CONVERT.replace("mkdir", f"echo >>{tmp_path}/conversions; sleep 0.1; mkdir"))
    folder = world.dfs / "data" / "mnist"

    at_once(world.ensure, world.ensure)

    assert is_whole(folder)
    assert len((tmp_path / "conversions").read_text().splitlines()) == 2  # of two sets, once each
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

    monkeypatch.setattr(mnist, "ensure_files", download)
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

"""CIFAR-10: the pinned archive alone, its LMDBs, its mean image, and the job that uses them."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import Cluster, Node
from bootstrap.errors import IntegrityError, JobError
from bootstrap.storage.hadoop import SharedStorage
from jobs.datasets import cifar10, prepare, workspace
from jobs.spec_file import read_spec
from jobs.submission.spark_submit import trainer_arguments
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.cli import parse
from tests.bootstrap.local_node import HDFS, LocalNode
from tests.drip import CUT, answering
from tests.jobs.specs import SPECS
from tests.jobs.submission.test_spark_submit import PLACE

PROGRAM = cifar10.PROGRAM
TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]
IMAGES = 4
"""In each file."""


def small_set() -> dict[str, np.ndarray[Any, Any]]:
    """Records by file: a label, then 3072 bytes."""
    random = np.random.default_rng(1)
    found = {}
    for name in [*TRAIN, "test_batch.bin"]:
        found[name] = random.integers(0, 256, (IMAGES, 3073), dtype=np.uint8)
        found[name][:, 0] %= 10
    return found


def packed(files: dict[str, bytes], path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small set in the operator's cache, whose sum is pinned."""
    monkeypatch.setenv("CAFFE_SPARK_CACHE", str(tmp_path / "cache"))
    cifar10.cache().mkdir(parents=True)
    files = {name: records.tobytes() for name, records in small_set().items()}
    path = packed(files, cifar10.cache() / cifar10.ARCHIVE)
    pins = {cifar10.ARCHIVE: hashlib.sha256(path.read_bytes()).hexdigest()}
    monkeypatch.setattr(cifar10, "FILES", pins)
    return path


def converted(archive: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), str(archive), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_archive_becomes_datums_in_its_own_order(archive: Path, tmp_path: Path, pb: Any) -> None:
    assert converted(archive, tmp_path / "made").stderr == ""

    found = small_set()
    for phase, names in {"train": TRAIN, "test": ["test_batch.bin"]}.items():
        path = tmp_path / "made" / f"{phase}_lmdb"
        assert [file.name for file in path.iterdir()] == ["data.mdb"]
        with lmdb.open(str(path), readonly=True, lock=False) as database, database.begin() as transaction:
            stored = list(transaction.cursor())
        rows = np.concatenate([found[name] for name in names])
        assert [key for key, _ in stored] == [b"%05d" % number for number in range(len(rows))]
        for row, (_, value) in zip(rows, stored, strict=True):
            datum = pb.Datum.FromString(value)
            assert (datum.channels, datum.height, datum.width, datum.label) == (3, 32, 32, row[0])
            assert datum.data == row[1:].tobytes()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"data_batch_1.bin": b"\x01" * 3073}, "has no data_batch_2.bin"),
        ({"data_batch_1.bin": b"\x01" * 3072}, "data_batch_1.bin is not CIFAR-10"),
        ({"data_batch_1.bin": b"\x0a" * 3073}, "data_batch_1.bin is not CIFAR-10"),
        (dict.fromkeys(TRAIN, b""), "data_batch_1.bin is empty"),
    ],
)
def test_what_is_not_the_set_is_refused_in_one_line(
    tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    done = converted(packed(files, tmp_path / "archive"), tmp_path / "made")

    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_mean_is_that_of_each_pixel_of_the_training_images(archive: Path, pb: Any) -> None:
    blob = pb.BlobProto.FromString(cifar10.ensure_mean().read_bytes())

    rows = np.concatenate([small_set()[name] for name in TRAIN])[:, 1:]
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 3, 32, 32)
    assert np.array_equal(np.float32(blob.data), rows.mean(axis=0, dtype=np.float64).astype(np.float32))


def test_the_mean_is_made_once(archive: Path) -> None:
    cifar10.ensure_mean()
    archive.unlink()

    assert cifar10.ensure_mean() == cifar10.mean_file()
    assert [path.name for path in cifar10.cache().iterdir()] == [cifar10.MEAN]


def writing(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def test_other_bytes_than_the_pinned_are_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"has sha256 .*, pinned is c4a38c50a1bc"):
        cifar10.ensure_files(tmp_path, writing(b"other"))

    assert list(tmp_path.iterdir()) == []


def test_a_site_that_cannot_be_reached_is_told_with_what_to_do_by_hand(tmp_path: Path) -> None:
    def down(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("it is down")

    with pytest.raises(JobError) as refused:
        cifar10.ensure_files(tmp_path, down)

    assert "cannot be read (it is down)" in str(refused.value)
    assert f"Put cifar-10-binary.tar.gz into {tmp_path}" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", CUT)
def test_a_download_that_breaks_off_is_told_and_is_no_other_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    said = "it ended after 1,000 of 1,000,000 bytes" if name == "cut" else "cannot be read"
    with answering(CUT[name]) as url, pytest.raises(JobError, match=said):
        monkeypatch.setattr(cifar10, "MIRROR", url)
        cifar10.ensure_files(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_download_that_verifies_is_kept(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()

    found = cifar10.ensure_files(tmp_path / "new", writing(content))

    assert found[cifar10.ARCHIVE].read_bytes() == content
    assert cifar10.ensure_files(tmp_path / "new", lambda _: pytest.fail("asked again")) == found


def test_the_set_is_converted_on_the_head_and_put_into_storage_once(
    archive: Path, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node").mkdir()
    node = LocalNode(tmp_path / "node")
    node.fake("hdfs", HDFS)

    @contextmanager
    def connect(_: Cluster, head: Node) -> Iterator[LocalNode]:
        yield node

    monkeypatch.setattr(prepare, "connect", connect)
    monkeypatch.setattr(workspace, "STAGING", str(tmp_path / "staging"))
    monkeypatch.setattr(paths, "ANY_PYTHON", sys.executable)
    monkeypatch.setattr(SharedStorage, "require_writable", lambda self: None)
    out, spec = io.StringIO(), read_spec(SPECS / "cifar10_quick.yaml")

    for _ in range(2):
        prepare.ensure_data(cluster, spec, Console(file=out, width=200))

    folder = node.folder / "state" / "dfs" / "data" / "cifar10"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == ["manifest.json", "test_lmdb/data.mdb", "train_lmdb/data.mdb"]
    assert out.getvalue().count("downloading") == 1
    assert "is there" in out.getvalue()
    assert list((tmp_path / "staging").iterdir()) == []


def test_the_job_ships_the_mean_and_its_net_takes_it(archive: Path, tmp_path: Path, pb: Any) -> None:
    spec = read_spec(SPECS / "cifar10_quick.yaml")
    prepare.ensure_shipped(spec)
    for file in spec.shipped:
        (tmp_path / file.name).write_bytes(file.read_bytes())

    job = load(tmp_path / spec.solver.name, pb)

    assert parse(trainer_arguments(spec, PLACE)).features == ("accuracy", "loss")
    assert (job.max_iter, job.test_interval, job.train.shape) == (4000, 100, (3, 32, 32))
    mean = job.train.transform.mean
    assert mean is not None
    assert mean.shape == (3, 32, 32)
    assert job.suffix == ".h5"

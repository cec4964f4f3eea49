"""Fence of a job's files: the newest attempt at training alone writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.trainer.errors import TrainerError
from jobs.trainer.files.fence import Fence
from jobs.trainer.files.store import Store


@pytest.fixture
def fence(tmp_path: Path) -> Fence:
    made = Fence(f"file:{tmp_path}/m.generation", 3, "a1b2")
    (tmp_path / "m.generation").write_text(made.text)
    return made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "written"
    path.write_bytes(b"weights")
    return path


def test_the_newest_attempt_writes_and_removes(fence: Fence, tmp_path: Path, model: Path) -> None:
    store = Store(fence)
    store.put(model, f"file:{tmp_path}/m")

    assert (tmp_path / "m").read_bytes() == b"weights"

    store.remove([f"file:{tmp_path}/m"])
    store.close()

    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("found", ["4-a1b2\n", "2-a1b2\n", "", "3", "3-a1b2x", "3-c3d4\n"])
def test_any_other_attempt_changes_nothing(fence: Fence, tmp_path: Path, model: Path, found: str) -> None:
    (tmp_path / "m").write_bytes(b"of the newest")
    (tmp_path / "m.generation").write_text(found)
    store = Store(fence)

    with pytest.raises(TrainerError, match="attempt 3 at this training"):
        store.put(model, f"file:{tmp_path}/m")
    with pytest.raises(TrainerError, match="attempt 3 at this training"):
        store.remove([f"file:{tmp_path}/m"])

    assert (tmp_path / "m").read_bytes() == b"of the newest"


def test_without_its_file_nobody_writes(fence: Fence, tmp_path: Path, model: Path) -> None:
    (tmp_path / "m.generation").unlink()

    with pytest.raises(TrainerError, match="it cannot be read"):
        Store(fence).put(model, f"file:{tmp_path}/m")


def test_where_there_is_no_other_attempt_there_is_no_fence(tmp_path: Path, model: Path) -> None:
    Store().put(model, f"file:{tmp_path}/m")

    assert (tmp_path / "m").exists()


def test_attempts_have_the_same_file_on_its_way_under_other_names(
    fence: Fence, tmp_path: Path, model: Path
) -> None:
    store, hidden = Store(fence), fence._replace(generation=2)
    on_its_way = tmp_path / f"m{hidden.part}"
    on_its_way.write_bytes(b"of a rank that was hidden")
    store.put(model, f"file:{tmp_path}/m")

    assert (tmp_path / "m").read_bytes() == b"weights"
    assert on_its_way.read_bytes() == b"of a rank that was hidden"


WARNED = [
    "WARN DFSClient: Failed to connect to /10.9.8.12:9866 for block b, add to deadNodes and continue.",
    "java.net.NoRouteToHostException: No route to host",
    "\tat org.apache.hadoop.hdfs.client.impl.BlockReaderFactory.build(BlockReaderFactory.java:383)",
]


def test_a_lost_node_that_had_the_files_block_is_no_newer_attempt() -> None:
    fence = Fence("hdfs://head/m.generation", 3, "a1b2")

    fence.check(lambda _: (0, [*WARNED, "3-a1b2"]))
    with pytest.raises(TrainerError, match="attempt 4 has taken its place"):
        fence.check(lambda _: (0, [*WARNED, "4-a1b2"]))
    with pytest.raises(TrainerError, match="has taken its place"):
        fence.check(lambda _: (0, WARNED))

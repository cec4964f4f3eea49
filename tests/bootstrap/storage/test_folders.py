"""Folders with a manifest: there whole or made again, once, whoever else makes them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.errors import CommandFailed, ServiceDown
from bootstrap.storage import folders
from bootstrap.storage.folders import Folder, Stored
from bootstrap.storage.hadoop import WAITING, SharedStorage
from tests.at_once import at_once
from tests.bootstrap.local_node import HDFS, LocalNode

FOLDER = Folder("/data/x", {"raw": "1"}, ("a/data", "b/data"))


class Storage:
    """Shared storage over a stand-in for `hdfs`, and a script that makes FOLDER."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path, self.node = tmp_path, LocalNode(tmp_path)
        self.node.fake("hdfs", HDFS)
        self.shared = SharedStorage(self.node, "s3a://bucket")
        self.place = self.node.folder / "state" / "dfs" / "data" / "x"
        self.said: list[str] = []

    def make(self, content: str = "", before: str = "", work: str = "work") -> bool:
        made = f"{self.tmp_path}/{work}/made"
        lines = "".join(
            f"mkdir -p {made}/{name}\nprintf '%s' '{content}{name}' >{made}/{name}/data\n" for name in "ab"
        )
        script = f"echo made >>{self.tmp_path}/makers\n{before}\n{lines}"
        return folders.make(
            self.shared,
            FOLDER,
            script,
            work=f"{self.tmp_path}/{work}",
            timeout=60,
            say=self.said.append,
        )

    def check(self) -> Stored:
        return folders.check(self.shared, FOLDER)

    @property
    def makers(self) -> int:
        """How often the folder was made."""
        return len((self.tmp_path / "makers").read_text().splitlines())


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


def test_a_folder_that_was_made_is_whole_and_is_not_made_again(storage: Storage) -> None:
    assert storage.check() == Stored(False)
    assert storage.make()
    assert storage.check() == Stored(True)
    assert not storage.make()
    assert storage.makers == 1
    assert sorted(path.name for path in storage.place.parent.iterdir()) == ["x"]
    assert not (storage.tmp_path / "work").exists()


def test_before_a_folder_is_made_storage_has_to_take_writes(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folders.before_making(storage.shared, FOLDER) == Stored(False)
    storage.make()
    assert folders.before_making(storage.shared, FOLDER) == Stored(True)

    def refuse(_: SharedStorage) -> None:
        raise ServiceDown("hdfs://h", "it is in safe mode", "Wait.")

    monkeypatch.setattr(SharedStorage, "require_writable", refuse)
    with pytest.raises(ServiceDown, match="safe mode"):
        folders.before_making(storage.shared, FOLDER)


def test_its_manifest_has_the_size_and_sum_of_each_file(storage: Storage) -> None:
    storage.make()

    assert json.loads((storage.place / "manifest.json").read_text()) == {
        "version": 2,
        "inputs": {"raw": "1"},
        "files": {
            "a/data": {
                "size": 1,
                "sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
            },
            "b/data": {
                "size": 1,
                "sha256": "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d",
            },
        },
    }


def rewritten(change: Callable[[dict[str, object]], object]) -> Callable[[Path], object]:
    def harm(place: Path) -> None:
        manifest = json.loads((place / "manifest.json").read_text())
        change(manifest)
        (place / "manifest.json").write_text(json.dumps(manifest))

    return harm


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (
            lambda place: (place / "a/data").write_text("z"),
            "a/data has another sha256 than its manifest says",
        ),
        (lambda place: (place / "b/data").write_text(""), "b/data is cut off"),
        (lambda place: (place / "b/data").write_text("bb"), "b/data is longer than its manifest says"),
        (lambda place: (place / "b/data").unlink(), "b/data is missing"),
        (
            lambda place: (place / "manifest.json").unlink(),
            "it has no manifest, so writing it was interrupted",
        ),
        (lambda place: (place / "manifest.json").write_text("{"), "its manifest is not valid"),
        (lambda place: (place / "manifest.json").write_text("[1]"), "its manifest is not valid"),
        (lambda place: (place / "manifest.json").write_text(""), "its manifest is not valid"),
        (rewritten(lambda it: it.update(inputs={"raw": "2"})), "it was made of other files"),
        (rewritten(lambda it: it.pop("files")), "its manifest has no sums of its files, as those of earlier"),
        (rewritten(lambda it: it.update(files={"a/data": 1})), "its manifest is not valid"),
        (rewritten(lambda it: it.update(files={})), "its manifest is not valid"),
    ],
)
def test_a_folder_that_differs_from_its_manifest_is_told_and_made_again(
    storage: Storage, harm: Callable[[Path], object], why: str
) -> None:
    storage.make()
    harm(storage.place)

    found = storage.check()

    assert not found.whole
    assert why in found.why
    assert storage.make()
    assert storage.check() == Stored(True)


def test_of_two_at_once_one_makes_it_and_the_other_waits_and_is_told(storage: Storage) -> None:
    wait = f'until [ "$(cat {storage.tmp_path}/gate 2>/dev/null)" ]; do sleep 0.05; done'
    flock = f'[ "$1" != -w ] || echo go >{storage.tmp_path}/gate\nexec {shutil.which("flock")} "$@"'
    storage.node.fake("flock", flock)

    wrote = at_once(lambda: storage.make("1", wait, "one"), lambda: storage.make("2", wait, "two"))

    assert sorted(wrote) == [False, True]
    assert storage.makers == 1
    assert storage.said == [WAITING]
    assert storage.check() == Stored(True)


def test_a_lock_ends_with_the_process_that_held_it(storage: Storage, tmp_path: Path) -> None:
    lock = f"{storage.node.folder}/state/run/storage-{folders._lock(FOLDER)}.lock"
    Path(lock).parent.mkdir()
    holder = subprocess.Popen(
        ["flock", "-o", lock, "sh", "-c", f"echo held >{tmp_path}/held; exec sleep 600"],
        start_new_session=True,
    )
    try:
        subprocess.run(["sh", "-c", f"until [ -s {tmp_path}/held ]; do sleep 0.02; done"], check=True)
        assert subprocess.run(["flock", "-n", lock, "true"], check=False).returncode == 1
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()

    assert storage.make()
    assert storage.said == []


def test_an_upload_that_fails_leaves_neither_a_part_of_it_nor_the_files_on_the_head(storage: Storage) -> None:
    storage.node.fake("hdfs", HDFS.replace("-mv) mv", "-mv) echo refused >&2; exit 1; mv"))

    with pytest.raises(CommandFailed, match="refused"):
        storage.make()

    assert list(storage.place.parent.iterdir()) == []
    assert not (storage.tmp_path / "work").exists()
    assert not storage.check().whole


@pytest.mark.parametrize("name", ["HUP", "INT", "TERM"])
def test_a_signal_leaves_neither_a_part_of_it_nor_the_files_on_the_head(storage: Storage, name: str) -> None:
    shell = storage.tmp_path / "shell"
    storage.node.fake("hdfs", HDFS.replace("-put) ", f"-put) kill -{name} $(cat {shell}); "))

    with pytest.raises(CommandFailed):
        storage.make(before=f"echo $$ >{shell}")

    assert list(storage.place.parent.iterdir()) == []
    assert not (storage.tmp_path / "work").exists()


def test_a_write_that_ends_before_its_manifest_does_not_count(storage: Storage) -> None:
    streamed = 'if [ "$1" = - ]; then '
    storage.node.fake("hdfs", HDFS.replace(streamed, f"{streamed}exit 137; "))
    with pytest.raises(CommandFailed):
        storage.make()
    storage.node.fake("hdfs", HDFS)

    assert storage.check() == Stored(False, "it has no manifest, so writing it was interrupted")


def test_what_an_interrupted_upload_left_is_removed(storage: Storage) -> None:
    left = storage.place.with_name("x._UPLOADING_0123")
    left.mkdir(parents=True)

    storage.make()

    assert sorted(path.name for path in storage.place.parent.iterdir()) == ["x"]


def test_a_script_that_fails_is_told_by_its_exit_code_and_writes_nothing(storage: Storage) -> None:
    with pytest.raises(CommandFailed, match="no disk") as caught:
        storage.make(before="echo no disk >&2; false; echo never >&2")

    assert caught.value.exit_code == folders.NOT_MADE
    assert storage.check() == Stored(False)


def test_a_storage_that_does_not_answer_is_not_taken_for_a_missing_folder(storage: Storage) -> None:
    storage.node.fake("hdfs", "echo 'cat: x: Connect to 10.0.0.1 failed: Connection refused' >&2; exit 1")
    storage.shared = SharedStorage(storage.node, "s3a://bucket")

    with pytest.raises(ServiceDown):
        storage.check()


def test_blocks_that_are_lost_are_told_and_the_folder_is_made_again(storage: Storage) -> None:
    storage.make()
    lost = "echo 'cat: Could not obtain block: blk_1' >&2; exit 1"
    storage.node.fake("hdfs", HDFS.replace("-cat) bad=0", f"-cat) {lost}; bad=0"))

    assert storage.check() == Stored(False, "it cannot be read (cat: Could not obtain block: blk_1)")

    storage.node.fake("hdfs", HDFS)


def test_locks_lie_where_only_root_writes() -> None:
    assert paths.RUN.startswith("/run/")
    assert not paths.RUN.startswith("/run/lock")

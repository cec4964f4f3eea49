"""Uploads of snapshots and of the model, to a storage that fails now and then."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from jobs.trainer import contract
from jobs.trainer.errors import TrainerError
from jobs.trainer.ranks.uploads import Uploads
from tests.jobs.trainer.events.conftest import Inbox

WAIT_S = 30


class Storage:
    """A storage that refuses as many writes as `failing` says; a write waits until `open` is set."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.failing = folder, 0
        self.there: list[str] = []
        self.removed: list[str] = []
        self.refusing: TrainerError | None = None
        self.open, self.begun = threading.Event(), threading.Event()
        self.open.set()
        self.inbox = Inbox()
        self.made: list[Uploads] = []

    def put(self, file: Path, uri: str) -> None:
        self.begun.set()
        assert self.open.wait(WAIT_S)
        if self.refusing:
            raise self.refusing
        if self.failing:
            self.failing -= 1
            raise TrainerError("hdfs-write-failed", uri=uri, reason="put: no DataNode")
        file.read_bytes()
        self.there.append(uri)

    def remove(self, uris: Sequence[str]) -> None:
        self.removed += uris

    def close(self) -> None:
        """Hold nothing."""

    def uploads(self, *, resumable: bool = False, pauses: tuple[float, ...] = (0.0, 0.0)) -> Uploads:
        made = Uploads(self.inbox.add, resumable=resumable, pauses=pauses, store=self)
        self.made.append(made)
        return made

    def snapshot(self, uploads: Uploads, iteration: int) -> None:
        files = [(self.folder / f"{iteration}{kind}", f"s:{iteration}{kind}") for kind in (".cm", ".st")]
        for file, _ in files:
            file.write_text("x")
        complete = contract.Snapshot(iteration, 100, files[0][1], files[1][1])
        uploads.snapshot(iteration, files, complete)

    def finish(self, uploads: Uploads) -> None:
        model = self.folder / "model"
        model.write_text("x")
        uploads.model(100, model, "s:model")
        uploads.finish()

    def failed(self) -> list[contract.UploadFailed]:
        return [event for event in self.inbox.events if isinstance(event, contract.UploadFailed)]

    def snapshots(self) -> list[int]:
        """Iterations of the snapshots that were told to be complete."""
        return [event.iteration for event in self.inbox.events if isinstance(event, contract.Snapshot)]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    made = Storage(tmp_path)
    yield made
    made.open.set()
    for uploads in made.made:
        uploads.close()


def test_a_snapshot_is_told_when_both_files_are_there_and_nothing_stays_on_the_disk(storage: Storage) -> None:
    uploads = storage.uploads()
    storage.snapshot(uploads, 50)
    storage.finish(uploads)

    assert storage.there == ["s:50.cm", "s:50.st", "s:model"]
    assert storage.snapshots() == [50]
    assert list(storage.folder.iterdir()) == []


def test_an_upload_that_fails_is_told_at_once_and_tried_again(storage: Storage) -> None:
    storage.failing = 2
    uploads = storage.uploads(pauses=(0.0, 0.5, 60.0))
    storage.snapshot(uploads, 50)

    told = storage.inbox.wait(3)

    assert told == [
        contract.UploadFailed(50, "s:50.cm", "put: no DataNode", 1, 0.0),
        contract.UploadFailed(50, "s:50.cm", "put: no DataNode", 2, 0.5),
        contract.Snapshot(50, 100, "s:50.cm", "s:50.st"),
    ]
    uploads.check()


def test_what_is_in_storage_already_is_not_uploaded_again(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = storage.uploads()
    first = storage.put

    def second_fails(file: Path, uri: str) -> None:
        if uri.endswith(".st") and not storage.failed():
            raise TrainerError("hdfs-write-failed", uri=uri, reason="no")
        first(file, uri)

    monkeypatch.setattr(storage, "put", second_fails)
    storage.snapshot(uploads, 50)
    storage.inbox.wait(2)

    assert storage.there == ["s:50.cm", "s:50.st"]


def test_the_first_snapshot_that_cannot_be_stored_ends_the_job(storage: Storage) -> None:
    storage.failing = 3
    uploads = storage.uploads()
    storage.snapshot(uploads, 50)
    storage.inbox.wait(3)
    uploads.close()

    words = "s:50.cm: the snapshot of iteration 50 cannot be stored: "
    with pytest.raises(TrainerError, match=words) as error:
        uploads.check()
    assert error.value.code == "snapshot-not-stored"
    assert [event.retry_s for event in storage.failed()] == [0.0, 0.0, None]


def test_with_an_earlier_one_in_storage_the_job_goes_on(storage: Storage) -> None:
    uploads = storage.uploads()
    storage.snapshot(uploads, 50)
    storage.inbox.wait(1)
    storage.failing = 3
    storage.snapshot(uploads, 60)
    storage.inbox.wait(4)

    uploads.check()
    storage.finish(uploads)

    assert storage.snapshots() == [50]
    assert storage.there[-1] == "s:model"


def test_so_it_does_where_it_began_from_a_snapshot(storage: Storage) -> None:
    storage.failing = 3
    uploads = storage.uploads(resumable=True)
    storage.snapshot(uploads, 60)
    storage.inbox.wait(3)

    storage.finish(uploads)

    assert storage.there == ["s:model"]


def test_a_newer_snapshot_ends_the_retries_of_an_older_one(storage: Storage) -> None:
    storage.open.clear()
    storage.failing = 1
    uploads = storage.uploads(pauses=(600.0,))
    for iteration in (50, 60):
        storage.snapshot(uploads, iteration)
    storage.open.set()

    assert storage.inbox.wait(2) == [
        contract.UploadFailed(50, "s:50.cm", "put: no DataNode", 1, None),
        contract.Snapshot(60, 100, "s:60.cm", "s:60.st"),
    ]
    uploads.check()
    assert list(storage.folder.iterdir()) == []


def test_a_newer_snapshot_that_comes_in_a_pause_ends_the_pause(storage: Storage) -> None:
    storage.failing = 1
    uploads = storage.uploads(pauses=(600.0,))
    storage.snapshot(uploads, 50)
    storage.inbox.wait(1)
    storage.snapshot(uploads, 60)
    storage.inbox.wait(3)

    assert storage.snapshots() == [50, 60]


def test_a_model_that_cannot_be_stored_fails_the_job_with_storages_own_words(storage: Storage) -> None:
    uploads = storage.uploads()
    storage.snapshot(uploads, 50)
    storage.inbox.wait(1)
    storage.failing = 3

    with pytest.raises(TrainerError, match="s:model: the model cannot be stored: put: no DataNode"):
        storage.finish(uploads)


def test_a_job_whose_model_is_stored_has_succeeded_whatever_happened_to_its_snapshots(
    storage: Storage,
) -> None:
    storage.failing = 3
    uploads = storage.uploads()
    storage.snapshot(uploads, 50)
    storage.inbox.wait(3)

    storage.finish(uploads)

    assert storage.there == ["s:model"]


def test_a_rank_that_fails_still_stores_its_newest_snapshot(storage: Storage) -> None:
    storage.open.clear()
    uploads = storage.uploads(pauses=(600.0,))
    for iteration in (50, 60, 70):
        storage.snapshot(uploads, iteration)
    assert storage.begun.wait(WAIT_S)
    threading.Timer(0.1, storage.open.set).start()

    uploads.close()

    assert storage.snapshots() == [50, 70]


def test_a_rank_that_fails_in_a_pause_does_not_wait(storage: Storage) -> None:
    storage.failing = 1
    uploads = storage.uploads(pauses=(600.0,))
    storage.snapshot(uploads, 50)
    storage.inbox.wait(1)

    uploads.close()

    assert not uploads._thread.is_alive()


def test_older_files_are_removed_when_the_newer_snapshot_is_whole(storage: Storage) -> None:
    storage.failing = 3
    uploads = storage.uploads(resumable=True)
    files = [(storage.folder / "a", "s:a")]
    files[0][0].write_text("x")
    uploads.snapshot(50, files, contract.Snapshot(50), obsolete=["s:old"])
    uploads.settle()

    assert storage.removed == []

    files[0][0].write_text("x")
    uploads.snapshot(60, files, contract.Snapshot(60), obsolete=["s:newer"])
    uploads.finish()

    assert storage.removed == ["s:old", "s:newer"], "the first one's too, which was not stored"
    assert uploads.obsolete == []


def test_older_files_stay_when_the_model_is_stored_and_are_named(storage: Storage) -> None:
    storage.failing = 3
    uploads = storage.uploads(resumable=True)
    file = storage.folder / "a"
    file.write_text("x")
    uploads.snapshot(50, [(file, "s:a")], contract.Snapshot(50), obsolete=["s:old"])
    uploads.settle()

    storage.finish(uploads)

    assert (storage.removed, uploads.obsolete) == ([], ["s:old"])


def test_files_are_finished_beside_training_before_they_are_uploaded(storage: Storage) -> None:
    uploads = storage.uploads()
    file = storage.folder / "feed"
    threads = list[str]()

    def prepare() -> None:
        threads.append(threading.current_thread().name)
        file.write_text("x")

    uploads.snapshot(50, [(file, "s:feed")], contract.Snapshot(50), prepare)
    uploads.finish()

    assert storage.there == ["s:feed"]
    assert threads == ["uploads"]


def test_files_that_cannot_be_finished_fail_as_their_upload_does(storage: Storage) -> None:
    uploads = storage.uploads(resumable=True)

    def full() -> None:
        raise OSError("no space left")

    uploads.snapshot(50, [(storage.folder / "feed", "s:feed")], contract.Snapshot(50), full)
    uploads.finish()

    assert [event.reason for event in storage.failed()] == ["OSError: no space left"] * 3


def test_an_attempt_that_another_one_has_replaced_writes_nothing_more_and_ends(storage: Storage) -> None:
    storage.refusing = TrainerError("fenced", generation=1, newest="2", uri="s:generation")
    uploads = storage.uploads(pauses=(600.0,), resumable=True)
    storage.snapshot(uploads, 50)

    with pytest.raises(TrainerError, match="attempt 2 has taken its place"):
        uploads.finish()

    assert storage.there == []
    assert storage.failed() == []


def test_uploads_are_busy_until_the_last_one_is_stored(storage: Storage) -> None:
    storage.open.clear()
    uploads = storage.uploads()

    assert not uploads.busy
    storage.snapshot(uploads, 50)
    assert uploads.busy
    storage.open.set()
    uploads.settle()

    assert not uploads.busy

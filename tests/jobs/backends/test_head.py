"""Files of jobs on the head, fetched to the operator's machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.errors import JobError
from jobs.backends import head_files
from jobs.backends.head_records import place_of
from jobs.backends.standalone import StandaloneBackend
from jobs.job import SubmittedJob
from jobs.trainer import contract
from jobs.trainer.contract import dump
from tests.bootstrap.local_node import HDFS, LocalNode
from tests.jobs.specs import mnist_spec


@pytest.fixture
def backend(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> StandaloneBackend:
    monkeypatch.setattr(paths, "JOBS", str(tmp_path / "jobs"))
    (tmp_path / "node").mkdir()
    made: Any = StandaloneBackend(cluster)
    made._link = SimpleNamespace(remote=LocalNode(tmp_path / "node"))
    return made  # type: ignore[no-any-return]


@pytest.fixture
def job(backend: StandaloneBackend) -> SubmittedJob:
    made = SubmittedJob(mnist_spec(), "key", place_of(backend.cluster, "mnist-1"))
    Path(made.place.folder).mkdir(parents=True)
    return made


def test_a_log_is_fetched_and_nothing_else_is_left_on_the_head(
    backend: StandaloneBackend, job: SubmittedJob, tmp_path: Path
) -> None:
    Path(job.place.folder, "log").write_text("first\nlast\n")

    log = backend.bring_log(job, tmp_path / "job.log")

    assert (log.text, log.where) == ("first\nlast\n", str(tmp_path / "job.log"))
    assert [path.name for path in Path(paths.JOBS).iterdir()] == ["mnist-1"]


def test_of_a_log_of_terabytes_the_end_is_fetched(
    backend: StandaloneBackend, job: SubmittedJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_files, "LONGEST_LOG", 4096)
    with Path(job.place.folder, "log").open("wb") as file:
        file.truncate(2 << 40)
        file.seek(0, 2)
        file.write(b"\nlast\n")

    log = backend.bring_log(job, tmp_path / "job.log")

    assert log.text.endswith("\nlast\n")
    assert (tmp_path / "job.log").stat().st_size == 4096
    assert log.where.endswith(f"(its end; the whole is {job.place.folder}/log on head)")


def test_without_a_log_none_is_fetched(backend: StandaloneBackend, job: SubmittedJob, tmp_path: Path) -> None:
    assert backend.bring_log(job, tmp_path / "job.log").text == ""
    assert not (tmp_path / "job.log").exists()


@pytest.mark.parametrize("divided", [True, False])
def test_events_are_read_from_the_folder_that_the_job_writes(
    backend: StandaloneBackend, job: SubmittedJob, divided: bool
) -> None:
    job = replace(job, place=replace(job.place, divided=divided))
    Path(job.place.work).mkdir(exist_ok=True)
    line = dump(contract.Display(7, 9))
    Path(job.place.work, "events.jsonl").write_text(f"{line}\n")
    found: list[str] = []

    assert backend.events(job, [contract.Display], found.append)
    assert found == [line]


@pytest.mark.parametrize("divided", [True, False])
def test_files_that_travelled_with_a_job_come_back_from_its_working_folder(
    backend: StandaloneBackend, job: SubmittedJob, tmp_path: Path, divided: bool
) -> None:
    job = replace(job, place=replace(job.place, divided=divided))
    Path(job.place.work).mkdir(exist_ok=True)
    Path(job.place.work, "net.prototxt").write_bytes(b"net \xff")

    backend.bring_files(job, ["net.prototxt"], tmp_path)

    assert (tmp_path / "net.prototxt").read_bytes() == b"net \xff"
    assert [path.name for path in Path(paths.JOBS).iterdir()] == ["mnist-1"]


def test_a_file_that_is_gone_is_named_with_what_to_do(
    backend: StandaloneBackend, job: SubmittedJob, tmp_path: Path
) -> None:
    with pytest.raises(JobError, match=r"work/net\.prototxt on head cannot be read any more.*fab submit"):
        backend.bring_files(job, ["net.prototxt"], tmp_path)


def test_of_a_file_without_end_no_more_is_fetched_than_can_travel(
    backend: StandaloneBackend, job: SubmittedJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_files, "LONGEST_FILE", 4096)
    Path(job.place.work).mkdir()
    with Path(job.place.work, "net.prototxt").open("wb") as file:
        file.truncate(2 << 40)

    with pytest.raises(JobError, match="is not what travelled with it"):
        backend.bring_files(job, ["net.prototxt"], tmp_path)
    assert (tmp_path / "net.prototxt").stat().st_size == 4096


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ((), False),
        (("mnist.model.generation", "stop"), False),
        (("mnist_iter_5.solverstate", "mnist.model.generation"), True),
    ],
    ids=["empty", "steered", "with a snapshot"],
)
def test_a_job_that_stored_nothing_leaves_no_folder_in_storage(
    backend: StandaloneBackend, tmp_path: Path, files: tuple[str, ...], left: bool
) -> None:
    backend.head.fake("hdfs", HDFS)  # type: ignore[attr-defined]
    folder = tmp_path / "node" / "state" / "dfs" / "jobs" / "mnist-1"
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).touch()

    head_files.drop_empty(backend.head, backend.cluster, "mnist-1")

    assert folder.exists() is left
    assert not left or [path.name for path in folder.iterdir()] == ["mnist_iter_5.solverstate"]


def test_storage_that_is_down_does_not_hide_how_a_job_has_ended(backend: StandaloneBackend) -> None:
    backend.head.fake("hdfs", "echo 'rmdir: Connection refused' >&2; exit 1")  # type: ignore[attr-defined]
    backend.head.fake("curl", "exit 7")  # type: ignore[attr-defined]

    head_files.drop_empty(backend.head, backend.cluster, "mnist-1")

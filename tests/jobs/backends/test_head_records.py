"""Records of jobs on the head, whatever stands in their folders."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from jobs.backends import head_records
from jobs.job import JobPlace, JobRecord, SubmittedJob
from jobs.report.history import History
from jobs.trainer import contract
from jobs.trainer.contract import dump
from tests.bootstrap.local_node import LocalNode
from tests.jobs.specs import mnist_spec


class Head:
    def __init__(self, tmp_path: Path, cluster: Cluster) -> None:
        self.cluster = cluster
        (tmp_path / "node").mkdir()
        self.node, self.folder = LocalNode(tmp_path / "node"), tmp_path / "jobs" / "mnist-1"
        self.work = self.folder / "work"
        self.work.mkdir(parents=True)
        self.job = SubmittedJob(mnist_spec(), "key", head_records.place_of(cluster, "mnist-1"))
        (self.folder / "job.json").write_text(self.job.dump())

    def record(self) -> JobRecord:
        (found,) = head_records.all_jobs(self.node, self.cluster)
        return found

    def runs(self) -> None:
        self.node.run("systemd-run --unit=caffe-spark-job-mnist-1 sleep 600")

    def ends(self) -> None:
        self.node.run("systemctl stop caffe-spark-job-mnist-1")


@pytest.fixture
def head(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Head:
    monkeypatch.setattr(paths, "JOBS", str(tmp_path / "jobs"))
    return Head(tmp_path, cluster)


@pytest.mark.parametrize(
    "text", ["", "\n", "ok", "1 of 2", "-1", "4711", "١", "0x1", "1\n2", "\x00", "9" * 5000]
)
def test_a_status_file_with_other_text_tells_nothing(head: Head, text: str) -> None:
    (head.folder / "status").write_text(text)

    assert (head.record().status, head.record().state) == (None, "lost")

    head.runs()
    try:
        assert head.record().state == "running"
    finally:
        head.ends()


@pytest.mark.parametrize(("text", "state"), [("0\n", "done"), ("143", "killed"), ("2\n", "refused")])
def test_a_status_is_a_number(head: Head, text: str, state: str) -> None:
    (head.folder / "status").write_text(text)

    assert head.record().state == state


def test_only_a_line_feed_ends_an_event(head: Head) -> None:
    # Written as it is by programs other than this project's.
    line = '{"event": "waiting", "time": 1.0, "why": "a\u2028b\x85c"}'
    (head.work / "events.jsonl").write_text(f"{line}\n{dump(contract.Progress(7, 9))}\n", encoding="utf-8")

    assert head.record().history.events == [contract.Waiting("a\u2028b\x85c"), contract.Progress(7, 9)]


def test_of_many_events_those_that_are_listed_come_from_the_head(head: Head) -> None:
    with (head.work / "events.jsonl").open("w") as file:
        file.write(dump(contract.Phase("train")) + "\n")
        file.writelines(dump(contract.Progress(number, 10**6)) + "\n" for number in range(20000))
        file.write("a line without end " + "x" * (3 << 20))

    assert head.record().history.events == [contract.Phase("train"), contract.Progress(19999, 10**6)]


def test_a_forged_record_is_of_the_job_whose_folder_it_is_in(head: Head) -> None:
    elsewhere = JobPlace("../../x", "/etc", "hdfs://other/x")
    (head.folder / "job.json").write_text(replace(head.job, place=elsewhere).dump())

    assert head.record().job.place == head.job.place


def test_a_folder_whose_name_is_not_a_jobs_id_is_no_job(head: Head) -> None:
    for name in ("x\x1b[2J", "..x", "-h", "a b"):
        shutil.copytree(head.folder, head.folder.with_name(name))

    assert head.record().id == "mnist-1"


def test_pipes_and_links_in_place_of_files_are_not_read(head: Head, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(dump(contract.Phase("secret")) + "\n")
    (head.work / "events.jsonl").symlink_to(tmp_path / "secret")
    os.mkfifo(head.folder / "status")

    assert (head.record().history.events, head.record().status) == ([], None)


def test_a_job_of_an_earlier_version_is_listed_with_its_events(head: Head) -> None:
    record = json.loads(head.job.dump())
    del record["place"]["divided"]
    (head.folder / "job.json").write_text(json.dumps(record))
    head.work.rmdir()
    (head.folder / "events.jsonl").write_text(dump(contract.Phase("train")) + "\n")

    found = head.record()

    assert found.history.events == [contract.Phase("train")]
    assert found.job.place.work == str(head.folder)


def test_executors_that_a_job_reports_in_another_form_are_skipped() -> None:
    executors = '{"0": 7, "1": {"host": "w1"}}'
    line = f'{{"event": "executors", "time": 1.0, "application": "app-1", "executors": {executors}}}'

    assert History.load([line]).executors == {"1": {"host": "w1"}}

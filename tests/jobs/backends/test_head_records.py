"""Records of jobs on the head, whatever stands in their folders."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.ssh.remote import Result
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
        file.write(f"{dump(contract.Progress(7, 10**6))}\n" * 19999)
        file.write(dump(contract.Progress(19999, 10**6)) + "\n")
        file.write("a line without end " + "x" * (3 << 20))

    assert head.record().history.events == [contract.Phase("train"), contract.Progress(19999, 10**6)]


def another(head: Head, name: str) -> Path:
    """Add a job; return its working folder."""
    folder = head.folder.with_name(name)
    (folder / "work").mkdir(parents=True)
    job = replace(head.job, place=head_records.place_of(head.cluster, name))
    (folder / "job.json").write_text(job.dump())
    (folder / "work" / "events.jsonl").write_text(dump(contract.Phase("train")) + "\n")
    return folder / "work"


def test_a_sparse_file_of_terabytes_costs_a_listing_nothing(head: Head) -> None:
    another(head, "mnist-2")
    with (head.work / "events.jsonl").open("w") as file:
        file.write(dump(contract.Phase("train")) + "\n")
        file.truncate(2 << 40)
        file.seek(0, os.SEEK_END)
        file.write("\n" + dump(contract.Done(3.0)) + "\n")

    found = {record.id: record for record in head_records.all_jobs(head.node, head.cluster)}

    assert found["mnist-1"].history.events == [contract.Phase("train"), contract.Done(3.0)]
    assert found["mnist-2"].history.events == [contract.Phase("train")]


def test_events_without_number_leave_other_jobs_their_rows_and_the_answer_its_size(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2, 5):
        another(head, f"mnist-{number}")
    # Escaped in the answer, each of these bytes takes six.
    line = dump(contract.Phase("x")).encode().replace(b'"x"', b'"%s"' % (b"\xff" * 30000)) + b"\n"
    # One with its end in the part that is not read, among others.
    (head.work / "events.jsonl").write_bytes(line * 400 + dump(contract.Phase("stop")).encode() + b"\n")
    printed, run = list[int](), head.node.run

    def counted(script: str, **rest: Any) -> Result:
        result = run(script, **rest)
        printed.append(len(result.stdout))
        return result

    monkeypatch.setattr(head.node, "run", counted)
    found = {record.id: record for record in head_records.all_jobs(head.node, head.cluster)}

    assert sorted(found) == ["mnist-1", "mnist-2", "mnist-3", "mnist-4"]
    assert found["mnist-1"].history.phase == "stop"
    assert found["mnist-4"].history.events == [contract.Phase("train")]
    assert sum(printed) < 2 << 20


def test_a_line_that_takes_all_the_room_leaves_the_lines_behind_it(head: Head) -> None:
    long = dump(contract.Phase("x" * (2 << 20)))
    first, last = dump(contract.Phase("train")), dump(contract.Done(1.0))
    (head.work / "events.jsonl").write_text(f"{first}\n{long}\n{last}\n")

    assert head.record().history.events == [contract.Phase("train"), contract.Done(1.0)]


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

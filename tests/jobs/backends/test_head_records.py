"""Records of jobs on the head, whatever stands in their folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap import paths
from jobs.backends import head_records
from jobs.job import JobPlace, JobRecord, SubmittedJob
from jobs.trainer import contract
from jobs.trainer.contract import dump
from tests.bootstrap.local_node import LocalNode
from tests.jobs.specs import mnist_spec


class Head:
    def __init__(self, tmp_path: Path) -> None:
        (tmp_path / "node").mkdir()
        self.node, self.folder = LocalNode(tmp_path / "node"), tmp_path / "jobs" / "mnist-1"
        self.folder.mkdir(parents=True)
        job = SubmittedJob(
            mnist_spec(), "key", JobPlace("mnist-1", str(self.folder), "hdfs://h/jobs/mnist-1")
        )
        (self.folder / "job.json").write_text(job.dump())

    def record(self) -> JobRecord:
        (found,) = head_records.all_jobs(self.node)
        return found

    def runs(self) -> None:
        self.node.run("systemd-run --unit=caffe-spark-job-mnist-1 sleep 600")

    def ends(self) -> None:
        self.node.run("systemctl stop caffe-spark-job-mnist-1")


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Head:
    monkeypatch.setattr(paths, "JOBS", str(tmp_path / "jobs"))
    return Head(tmp_path)


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
    (head.folder / "events.jsonl").write_text(f"{line}\n{dump(contract.Progress(7, 9))}\n", encoding="utf-8")

    assert head.record().history.events == [contract.Waiting("a\u2028b\x85c"), contract.Progress(7, 9)]


def test_of_many_events_those_that_are_listed_come_from_the_head(head: Head) -> None:
    with (head.folder / "events.jsonl").open("w") as file:
        file.write(dump(contract.Phase("train")) + "\n")
        file.writelines(dump(contract.Progress(number, 10**6)) + "\n" for number in range(20000))
        file.write("a line without end " + "x" * (3 << 20))

    assert head.record().history.events == [contract.Phase("train"), contract.Progress(19999, 10**6)]

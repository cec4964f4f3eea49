from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.errors import JobError, Unreachable
from bootstrap.support.bundle import Bundle
from bootstrap.support.masking import Masking
from jobs.backends.base import OnLine
from jobs.job import JobPlace, JobRecord, SubmittedJob
from jobs.report.history import History
from jobs.run.evidence import add_job
from jobs.trainer import contract
from jobs.trainer.contract import Event, dump, stamped
from tests.jobs.specs import mnist_spec

EXECUTORS = contract.Executors(
    "app-1", {"0": {"host": "w1", "container": ""}, "1": {"host": "w2", "container": ""}}
)


class World:
    """Backends with two jobs; the newest one has events and logs."""

    def __init__(self, *, status: int | None = 0) -> None:
        self.document = SimpleNamespace(stack="dev")
        self.silent = False
        self.jobs = [self.made("mnist-2", status), self.made("mnist-1", 0)]

    def made(self, name: str, status: int | None) -> JobRecord:
        place = JobPlace(name, f"/jobs/{name}", f"hdfs://h/jobs/{name}")
        job = SubmittedJob(mnist_spec(), "key", place)
        return JobRecord(job, 1.0, False, status, History([EXECUTORS]))

    def records(self) -> tuple[list[JobRecord], list[str]]:
        if self.silent:
            raise Unreachable("head", "SSH does not answer", "Run `fab doctor`.")
        return self.jobs, []

    def find(self, name: str) -> tuple[Any, JobRecord]:
        for record in self.jobs:
            if record.id == name:
                return self, record
        raise JobError(f"job {name!r}", "head has no such job", "Give one of these.")

    def events(self, _: SubmittedJob, kinds: Sequence[type[Event]], on_line: OnLine) -> bool:
        for event in (contract.Phase("train"), contract.Progress(1, 2)):
            if isinstance(event, tuple(kinds)):
                on_line(dump(stamped(event)))
        return True

    def logs(self, _: JobRecord, on_line: OnLine, *, executor: int | None, follow: bool) -> None:
        assert not follow
        if executor == 1:
            raise JobError("executor 1", "its log is gone", "Look elsewhere.")
        on_line(f"log of {'the driver' if executor is None else executor}, password=hunter22")

    def why_lost(self, _: SubmittedJob) -> str:
        return "its driver was killed"


def collected(world: World, results: Path, job: str | None = None) -> tuple[dict[str, str], tuple[str, ...]]:
    bundle = Bundle(Masking())
    add_job(bundle, world, job, results)  # type: ignore[arg-type]
    return {name: data.decode() for name, data in bundle._files.items()}, bundle.missing


def test_the_newest_job_gives_its_record_events_and_logs(tmp_path: Path) -> None:
    (tmp_path / "mnist-2").mkdir()
    (tmp_path / "mnist-2" / "summary.json").write_text("{}")
    (tmp_path / "mnist-2" / "features.jsonl").write_text("data")
    files, missing = collected(World(), tmp_path)
    assert set(files) == {
        "jobs.txt",
        *(f"job/mnist-2/{name}" for name in ("record.json", "state.txt", "events.jsonl", "driver.log")),
        "job/mnist-2/executor-0.log",
        "job/mnist-2/results/summary.json",
    }
    assert files["job/mnist-2/driver.log"] == "log of the driver, password=***\n"
    assert len(files["job/mnist-2/events.jsonl"].splitlines()) == 1, "of progress there is too much"
    assert missing == ("job/mnist-2/executor-1.log: executor 1: its log is gone. Look elsewhere.",)
    assert "mnist-1" in files["jobs.txt"]


def test_a_named_job_is_taken_instead_and_an_unknown_one_is_missing(tmp_path: Path) -> None:
    assert "job/mnist-1/record.json" in collected(World(), tmp_path, "mnist-1")[0]
    files, missing = collected(World(), tmp_path, "mnist-9")
    assert set(files) == {"jobs.txt"}
    assert missing == ("job/mnist-9: job 'mnist-9': head has no such job. Give one of these.",)


def test_a_lost_job_tells_why(tmp_path: Path) -> None:
    assert collected(World(status=None), tmp_path)[0]["job/mnist-2/lost.txt"] == "its driver was killed"


@pytest.mark.parametrize("job", [None, "mnist-7"])
def test_where_no_node_answers_the_results_on_this_machine_are_taken(tmp_path: Path, job: str | None) -> None:
    world = World()
    world.silent = True
    (tmp_path / "mnist-7").mkdir()
    (tmp_path / "mnist-7" / "job.log").write_text("driver's words\n")
    files, missing = collected(world, tmp_path, job)
    assert files == {"job/mnist-7/results/job.log": "driver's words\n"}
    assert missing[0].startswith("jobs: head: SSH does not answer.")
    assert missing[1].startswith("job/mnist-7: only its results on this machine are here")


def test_a_machine_that_knows_no_job_says_so(tmp_path: Path) -> None:
    world = World()
    world.silent = True
    files, missing = collected(world, tmp_path)
    assert files == {}
    assert missing[1].startswith("job: which one was the newest is not known")

"""`fab curve`: the training curve of a job, running or ended."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from bootstrap.errors import JobError
from jobs.backends.base import OnLine
from jobs.job import JobPlace, JobRecord, SubmittedJob
from jobs.report.history import History
from jobs.run import curve as module
from jobs.run.curve import draw
from jobs.trainer import contract
from jobs.trainer.contract import Event, dump, stamped
from tests.jobs.specs import mnist_spec

JOB = "mnist-20261129-185503"
POINTS: list[Event] = [
    contract.Training(2),
    contract.Display(0, 200, 2.5, lr=0.01),
    contract.Validation(100, 200, {"accuracy": [0.5]}),
    contract.Display(100, 200, 0.5, lr=0.01),
]


class World:
    """A backend with one job, which has written some events and writes more while it is followed."""

    def __init__(self, tmp_path: Path, *events: Event, active: bool = True) -> None:
        self.results, self.out = tmp_path / "results", io.StringIO()
        self.folder = self.results / JOB
        self.written = [dump(stamped(event)) for event in events]
        self.later: list[Event] = []
        self.whole = True
        self.seen: list[bool] = []
        place = JobPlace(JOB, f"/jobs/{JOB}", f"hdfs://h/jobs/{JOB}")
        history = History([contract.Phase("train")])
        job = SubmittedJob(mnist_spec(), "key", place)
        self.record = JobRecord(job, 1.0, active, None if active else 0, history)
        self.document = SimpleNamespace(stack="dev")

    def find(self, _: str) -> tuple[Any, JobRecord]:
        return self, self.record

    def events(self, _: SubmittedJob, kinds: Sequence[type[Event]], on_line: OnLine) -> bool:
        for line in self.written:
            if line.startswith(tuple(map(contract.start_of, kinds))):
                on_line(line)
        return self.whole

    def follow(self, _: SubmittedJob, on_line: OnLine) -> int:
        for line in [
            "INFO a line of Spark's log",
            *self.written,
            *(dump(stamped(one)) for one in self.later),
        ]:
            on_line(line)
            self.seen.append((self.folder / "curve.png").exists())
        return 0

    def draw(self, *, follow: bool = False) -> str:
        draw(self, JOB, Console(file=self.out, width=300), self.results, follow=follow)  # type: ignore[arg-type]
        return self.out.getvalue()


@pytest.mark.parametrize("active", [True, False])
def test_a_job_is_drawn_from_its_events_so_far_and_told_where(tmp_path: Path, active: bool) -> None:
    world = World(tmp_path, *POINTS, active=active)

    said = world.draw()

    assert f"curve    {world.folder}/curve.png; for TensorBoard: {world.folder}/tensorboard/\n" in said
    assert (world.folder / "curve.png").exists()
    assert (world.folder / "validation.csv").read_text() == "iteration,accuracy\n100,0.5\n"


def test_a_followed_job_is_drawn_while_it_runs_and_once_more_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    world = World(tmp_path)
    world.later = [*POINTS, contract.Validation(200, 200, {"accuracy": [0.75]})]

    said = world.draw(follow=True)

    assert world.seen == [False, False, True, True, True, True]
    assert (world.folder / "validation.csv").read_text().endswith("\n200,0.75\n")
    assert said.count("curve    ") == 1


def test_whoever_stops_following_has_what_came_until_then(tmp_path: Path) -> None:
    world = World(tmp_path, *POINTS)

    def follow(_: SubmittedJob, on_line: OnLine) -> int:
        for line in world.written:
            on_line(line)
        raise KeyboardInterrupt

    world.follow = follow  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        world.draw(follow=True)

    assert (world.folder / "validation.csv").exists()


def test_a_running_job_without_a_point_says_so_and_how_to_wait(tmp_path: Path) -> None:
    world = World(tmp_path, contract.Training(2))

    with pytest.raises(JobError) as told:
        world.draw()

    assert str(told.value) == (
        f"job {JOB}: it has no point to draw yet (running, phase train). "
        f"Run `fab curve {JOB} --follow --stack dev`, which waits."
    )
    assert not world.folder.exists()


@pytest.mark.parametrize("follow", [True, False])
def test_an_ended_job_without_a_point_says_so(tmp_path: Path, follow: bool) -> None:
    with pytest.raises(JobError, match="it ended without a point to draw"):
        World(tmp_path, active=False).draw(follow=follow)


def test_a_job_that_ends_without_a_point_while_it_is_followed_says_so(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="it ended without a point to draw"):
        World(tmp_path).draw(follow=True)


def test_a_curve_without_its_end_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, *POINTS)
    world.whole = False

    assert "note: the job has written more events than are read; the curve lacks its end" in world.draw()

"""A drill from the job's start to its files, on a backend whose job is a recording."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, ConfigError, JobError
from jobs.drill import run
from jobs.drill.record import ANNOUNCED, REPLACED, TAKEN, Plan, Record
from jobs.drill.request import Undisturbed
from jobs.drill.run import Here
from jobs.trainer import contract
from jobs.trainer.contract import Event, stamped
from tests.jobs.specs import mnist_spec

BASE = Undisturbed("drill-undisturbed-1", 0.99)


class Stage:
    """Nodes that are marked as the group marks them."""

    def __init__(self, record: Record) -> None:
        self.record, self.log, self.fails = record, Path("log"), False
        self.tried = threading.Event()

    def log_to(self, path: Path) -> None:
        self.log = path

    def announce(self, nodes: Sequence[str], _: float) -> None:
        self.record.mark(ANNOUNCED, nodes[0])

    def withdraw(self, nodes: Sequence[str]) -> None:
        pass

    def take(self, nodes: Sequence[str]) -> None:
        self.tried.set()
        if self.fails:
            raise CommandFailed("podman", "it does not answer", "Look.")
        self.record.mark(TAKEN, nodes[0])

    def replace(self, nodes: Sequence[str]) -> None:
        self.record.mark(REPLACED, nodes[0])


class World:
    """A backend, and what `run_job` returns or raises when the job's events have been read."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.document, self.folder = cluster, folder
        self.ends: Callable[[], Any] = lambda: SimpleNamespace(job="drill-1", accuracy=0.989)
        self.stage: Stage | None = None
        self.stage_fails = False
        self.names: list[str] = []
        self.out = io.StringIO()

    @property
    def here(self) -> Here:
        return Here(self.folder, {}, self.folder / "results", Console(file=self.out, width=200))

    def launch(self, spec: Any, *_: object) -> Any:
        self.names.append(spec.name)
        return SimpleNamespace(id="drill-1")

    def follow(self, _: object, on_line: Callable[[str], None]) -> int:
        def write(event: Event) -> None:
            on_line(contract.dump(stamped(event)))

        write(contract.Executors("a", {"0": {"host": "w1"}, "1": {"host": "w2"}}))
        write(contract.Progress(100, 500, images_per_s=50.0, seconds=1.0))
        write(contract.Snapshot(100))
        if self.stage is None:  # the undisturbed job
            return 0
        assert self.stage.tried.wait(10)
        if not self.stage_fails:
            self._until(TAKEN)
            write(contract.WorkersLost(110, ["w2"]))
            write(contract.Recovery(2, 100, 2, 2, 10))
            write(contract.Progress(120, 500, images_per_s=50.0, seconds=1.0))
            self._until(REPLACED)
        write(contract.Done())
        return 0

    def _until(self, kind: str) -> None:
        assert self.stage is not None
        deadline = time.monotonic() + 10
        while self.stage.record.first(kind) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def world(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(cluster, tmp_path)

    @contextmanager
    def simulated(_: Cluster, record: Record, *__: object) -> Iterator[Stage]:
        made.stage = Stage(record)
        made.stage.fails = made.stage_fails
        yield made.stage

    def run_job(backend: Any, spec: Any, framework: str, *_: object) -> Any:
        job = backend.launch(spec, framework, print)
        backend.follow(job, lambda line: None)
        return made.ends()

    monkeypatch.setattr(run, "simulated", simulated)
    monkeypatch.setattr(run, "run_job", run_job)
    return made


def drill(world: World, plan: Plan = Plan("no-notice")) -> Any:  # noqa: B008 - frozen
    return run.disturbed(world, mnist_spec(name="drill"), "key", plan, base=BASE, here=world.here)  # type: ignore[arg-type]


def test_a_drill_ends_with_its_verdict_and_files(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    judged = drill(world)

    assert judged.passed
    assert (judged.lost_iterations, judged.accuracy, judged.baseline) == (10, 0.989, 0.99)
    folder = world.here.results / "drill-1"
    document = json.loads((folder / "timeline.json").read_text())
    assert document["drill"]["nodes"] == ["w2"]
    assert document["drill"]["baseline"] == "drill-undisturbed-1"
    assert (folder / "timeline.svg").exists()
    assert world.stage is not None
    assert world.stage.log == folder / "replacement.log"
    shown = capsys.readouterr().out
    assert "verdict of drill drill-1" in shown
    assert "taken away" in shown
    assert f"drill    timeline {folder / 'timeline.json'}" in world.out.getvalue()


def test_a_job_that_fails_is_reported_before_its_error(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise JobError("job drill-1", "no executor came back", "Look.")

    world.ends = fails
    with pytest.raises(JobError, match="no executor came back"):
        drill(world)
    assert "verdict of drill drill-1" in capsys.readouterr().out
    assert (world.here.results / "drill-1" / "timeline.json").exists()


def test_nodes_that_cannot_be_taken_are_an_error(world: World) -> None:
    world.stage_fails = True
    with pytest.raises(CommandFailed, match="podman: it does not answer"):
        drill(world)


def test_a_cluster_whose_nodes_are_not_known_is_refused(world: World) -> None:
    world.document = SimpleNamespace(stack="dev")  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="its nodes are not known"):
        drill(world)


def test_the_undisturbed_job_has_a_name_of_its_own(world: World) -> None:
    found = run.undisturbed(world, mnist_spec(name="drill"), "key", world.here)  # type: ignore[arg-type]
    assert found == ("drill-1", 0.989)
    assert world.names == ["drill-undisturbed"]


def test_a_user_who_detaches_from_the_undisturbed_job_ends_the_drill(world: World) -> None:
    world.ends = lambda: None
    assert run.undisturbed(world, mnist_spec(name="drill"), "key", world.here) is None  # type: ignore[arg-type]

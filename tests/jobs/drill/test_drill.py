"""The course of a drill, beside a job that is a list of events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import CommandFailed, JobError
from jobs.drill.drill import Drill, Watched, victims
from jobs.drill.record import Plan, Record
from jobs.report.history import History
from jobs.trainer import contract
from jobs.trainer.contract import Event

SNAPSHOT = contract.Snapshot(100)


class Stage:
    """Nodes that note what is done to them; `after` waits until something has been."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.log = Path("log")
        self.fails = ""
        self.replacing = threading.Event()
        self.replaced = threading.Event()
        self.replaced.set()

    def announce(self, nodes: Sequence[str], at: float) -> None:
        self._do("announce", nodes)
        self.at = at

    def withdraw(self, nodes: Sequence[str]) -> None:
        self._do("withdraw", nodes)

    def take(self, nodes: Sequence[str]) -> None:
        self._do("take", nodes)

    def replace(self, nodes: Sequence[str]) -> None:
        self.replacing.set()
        self.replaced.wait(10)
        self._do("replace", nodes)

    def cut(self, nodes: Sequence[str]) -> None:
        self._do("cut", nodes)

    def heal(self, nodes: Sequence[str]) -> None:
        self._do("heal", nodes)

    def _do(self, what: str, nodes: Sequence[str]) -> None:
        if what == self.fails:
            raise CommandFailed("podman", "it does not answer", "Look.")
        self.done.append(f"{what} {' '.join(nodes)}")

    def after(self, what: str) -> None:
        deadline = time.monotonic() + 10
        while not any(line.startswith(what) for line in self.done):
            assert time.monotonic() < deadline, self.done
            time.sleep(0.01)


class World:
    """A drill on a cluster whose two workers have an executor each."""

    def __init__(self, cluster: Cluster) -> None:
        self.stage, self.record, self.said = Stage(), Record(), list[str]()
        self.cluster = cluster
        self.event_of: Callable[[Event], None] = lambda event: None

    def drill(self, plan: Plan) -> Drill:
        made = Drill(plan, self.cluster, self.stage, self.record, self.said.append)
        self.event_of = made.on_event
        executors = {"0": {"host": "w1"}, "1": {"host": "w2"}}
        self.event(contract.Executors("app-1", executors))
        return made

    def event(self, event: Event) -> None:
        found = self.record.line(contract.dump(contract.stamped(event)))
        assert found is not None
        self.event_of(found)


@pytest.fixture
def world(cluster: Cluster) -> World:
    return World(cluster)


def test_a_node_is_told_and_then_taken_and_replaced(world: World) -> None:
    began = time.time()
    with world.drill(Plan(notice_s=0.3)) as drill:
        world.event(SNAPSHOT)
        world.stage.after("replace")
    assert world.stage.done == ["announce w2", "take w2", "replace w2"]
    assert world.stage.at == pytest.approx(began + 0.3, abs=5)
    assert drill.nodes == ["w2"]
    assert world.said[-1] == "w2: replaced"


def test_without_a_notice_a_node_is_taken_at_once(world: World) -> None:
    with world.drill(Plan("no-notice", count=2)):
        world.event(SNAPSHOT)
        world.stage.after("replace")
    assert world.stage.done == ["take w1 w2", "replace w1 w2"]


def test_a_partition_ends_after_its_time(world: World) -> None:
    with world.drill(Plan("partition", heal_s=0.1)):
        world.event(SNAPSHOT)
        world.stage.after("heal")
    assert world.stage.done == ["cut w2", "heal w2"]


def test_a_partition_of_a_job_that_has_ended_is_healed(world: World) -> None:
    with world.drill(Plan("partition", heal_s=3600)):
        world.event(SNAPSHOT)
        world.stage.after("cut")
        world.event(contract.Done())
    assert world.stage.done == ["cut w2", "heal w2"]


def test_links_that_could_not_all_be_cut_are_healed(world: World) -> None:
    world.stage.fails = "cut"
    with world.drill(Plan("partition")) as drill:
        world.event(SNAPSHOT)
        world.stage.after("heal")
    assert isinstance(drill.error, CommandFailed)


def test_nothing_happens_before_the_job_has_a_snapshot(world: World) -> None:
    with world.drill(Plan("no-notice")):
        world.event(contract.Progress(5, 10))
        world.event(contract.Done())
    assert world.stage.done == []


def test_a_job_that_ends_during_its_notice_keeps_its_nodes(world: World) -> None:
    with world.drill(Plan(notice_s=3600)):
        world.event(SNAPSHOT)
        world.stage.after("announce")
        world.event(contract.Done())
    assert world.stage.done == ["announce w2", "withdraw w2"]


def test_a_job_that_is_given_up_ends_the_drill_with_all_nodes_back(world: World) -> None:
    world.stage.replaced.clear()
    with pytest.raises(JobError), world.drill(Plan("no-notice")):
        world.event(SNAPSHOT)
        assert world.stage.replacing.wait(10)
        threading.Timer(0.1, world.stage.replaced.set).start()
        raise JobError("job", "it was killed", "")
    assert world.stage.done == ["take w2", "replace w2"]
    assert "the nodes are brought back" in world.said


def test_a_stage_that_fails_is_the_drills_error_which_is_said_while_the_job_waits(world: World) -> None:
    world.stage.fails = "take"
    with world.drill(Plan("no-notice")) as drill:
        world.event(SNAPSHOT)
        deadline = time.monotonic() + 10
        while drill.error is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        while not any(line.startswith("the drill cannot go on: podman: it does not") for line in world.said):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert isinstance(drill.error, CommandFailed)
    assert world.stage.done == []


def test_later_snapshots_interrupt_nothing_again(world: World) -> None:
    with world.drill(Plan("no-notice")):
        world.event(SNAPSHOT)
        world.stage.after("replace")
        world.event(SNAPSHOT)
        world.event(contract.Done())
    assert world.stage.done == ["take w2", "replace w2"]


@pytest.mark.parametrize(
    ("events", "count", "chosen"),
    [
        ([contract.Executors("a", {"0": {"host": "w1"}})], 1, ["w1"]),
        ([contract.Executors("a", {"0": {"host": "10.9.8.12"}})], 1, ["w2"]),
        ([contract.RankStarted(0, "w1"), contract.RankStarted(1, "host", "10.9.8.12")], 2, ["w1", "w2"]),
    ],
)
def test_nodes_with_an_executor_are_chosen(
    cluster: Cluster, events: list[Event], count: int, chosen: list[str]
) -> None:
    assert victims(cluster, History(events), count) == chosen


def test_the_node_of_a_driver_is_spared(cluster: Cluster) -> None:
    executors = contract.Executors("a", {"0": {"host": "w1"}, "1": {"host": "w2"}})
    history = History([contract.Application("a", "RUNNING", "c", "w2"), executors])
    assert victims(cluster, history, 1) == ["w1"]
    with pytest.raises(JobError, match="--count 2: the job has executors, without its driver, on w1"):
        victims(cluster, history, 2)


class Backend:
    """A backend whose job has written two lines."""

    name = "standalone"

    def launch(self, *_: object) -> str:
        return "the job"

    def follow(self, _: object, on_line: Callable[[str], None]) -> int:
        on_line("a line of the log")
        on_line(contract.dump(SNAPSHOT))
        return 0


def test_a_watched_backend_passes_everything_on_and_its_events_to_the_drill() -> None:
    record, events, lines = Record(), list[Event](), list[str]()
    watched = Watched(Backend(), record, events.append)  # type: ignore[arg-type]
    assert watched.backend.name == "standalone"
    launched: list[object] = []
    watched.on_launch = launched.append
    assert watched.launch(None, "key", print) == "the job"  # type: ignore[arg-type, comparison-overlap]
    assert launched == ["the job"]
    for _ in range(2):
        assert watched.follow(None, lines.append) == 0  # type: ignore[arg-type]
    assert len(lines) == 4
    assert events == [SNAPSHOT, SNAPSHOT]
    assert record.events == [SNAPSHOT], "who follows again reads from the start"

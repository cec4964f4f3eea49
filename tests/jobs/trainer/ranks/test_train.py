"""A rank's run over a stand-in for Caffe's solver: what becomes of its snapshots and of the model."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from socket import gethostname
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from jobs.trainer import contract, rounds
from jobs.trainer.caffe import device, native
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.channel import Address, Channel
from jobs.trainer.files import storage
from jobs.trainer.files.fence import Fence
from jobs.trainer.ranks import train, uploads
from jobs.trainer.ranks.group import Exchange, PeerLost
from jobs.trainer.ranks.plan import Plan, RankHost
from tests.jobs.trainer import native_feed
from tests.jobs.trainer.events.conftest import Inbox

LOSSES: dict[int, float] = {}
"""Of the iteration that a solver does, counted from 1; 0.5 without an entry."""


class Solver:
    """A solver that counts."""

    def __init__(self, _job: Any, _rank: int, folder: Path) -> None:
        self.folder, self.iteration = folder, 0
        self.averaged: list[int] = []
        self.seeds: list[int] = []
        self.read: list[str] = []
        Solver.made.append(self)

    made: ClassVar[list[Solver]] = []

    def average_statistics(self, mean: Callable[[Any], Any]) -> None:
        self.averaged.append(self.iteration)

    def start(self, feed: Any) -> None:
        self.feed = feed

    def restore(self, state: Path, _name: str, _weights: Any) -> None:
        self.iteration = int(state.read_text().partition(".")[0])

    def step(self, seed: int) -> float:
        self.seeds.append(seed)
        self.read += self.feed.take(np.zeros((2, 1, 28, 28)), np.zeros(2))
        self.iteration += 1
        return LOSSES.get(self.iteration, 0.5)

    def snapshot(self) -> list[Path]:
        return [self.file(f"{self.iteration}{kind}") for kind in (".caffemodel", ".solverstate")]

    def save(self) -> Path:
        return self.file("final")

    def file(self, name: str) -> Path:
        path = self.folder / name
        path.write_text(name)
        return path

    def weights(self) -> Iterator[bytes]:
        yield b"w"

    def validator(self, number: int) -> Any:
        return Scorer(number)


class Scorer:
    """A TEST net whose output is the first pixel of its batch, in the thousands of its number."""

    outputs = ("loss",)

    def __init__(self, number: int) -> None:
        self.number = number

    def length(self, _: str) -> int:
        return 1

    def loss(self) -> float:
        return 7.0 + self.number

    def run(self, feed: Any, names: Any) -> tuple[list[str], dict[str, Any]]:
        data = np.zeros((feed.upcoming(), 1, 28, 28))
        ids = feed.take(data, np.zeros(len(data)))
        return ids, dict.fromkeys(names, data[:, 0, 0, :1] + 1000.0 * self.number)


class World:
    def __init__(self, tmp_path: Path, job: Any) -> None:
        self.tmp, self.job, self.inbox = tmp_path, job, Inbox()
        self.steps: list[contract.RankStep] = []
        self.words: list[list[str]] = []
        """Of the driver, by question."""
        self.plan = Plan(
            job=job,
            size=1,
            channel=Address("127.0.0.1", 1, ""),
            train=job.train.uri,
            tests=("",),
            weights=(),
            snapshot="",
            snapshot_name="",
            feed="",
            model=f"file:{tmp_path}/out/m.caffemodel",
            timeout_s=10,
            token=b"",
        )

    def run(self, rank: int = 0) -> dict[str, Any]:
        folder = self.tmp / "scratch"
        folder.mkdir()
        sender = SimpleNamespace(send=self.add, heard=lambda: self.words.pop(0) if self.words else [])
        place = RankHost(rank, "w1", "10.9.8.11")
        exchange = Exchange(rank, self.plan.size, lambda text: [text] * self.plan.size)
        return train._Rank(self.plan, place, exchange, sender, folder).run()  # type: ignore[arg-type]

    def add(self, event: contract.Event) -> None:
        self.steps.append(event) if isinstance(event, contract.RankStep) else self.inbox.add(event)

    @property
    def doing(self) -> list[str]:
        """Steps that the rank has told."""
        return [step.doing for step in self.steps]

    @property
    def stored(self) -> list[str]:
        return sorted(path.name for path in (self.tmp / "out").glob("*"))


@pytest.fixture
def world(
    tmp_path: Path, prototxts: Path, database: Callable[..., Path], pb: Any, monkeypatch: pytest.MonkeyPatch
) -> World:
    layer = load(prototxts, pb)
    uri = f"file:{database(10, shape=(1, 28, 28))}"
    job = replace(
        layer,
        train=replace(layer.train, uri=uri, batch=2),
        max_iter=6,
        snapshot=2,
        test_interval=0,
        display=0,
    )
    monkeypatch.setattr(native, "Trainer", Solver)
    LOSSES.clear()
    Solver.made.clear()
    monkeypatch.setattr(native, "protos", lambda: pb)
    monkeypatch.setattr(uploads, "PAUSES", (0.0,))
    monkeypatch.setitem(sys.modules, "caffe_feed", None)
    native_feed.install()
    monkeypatch.setitem(sys.modules, "caffe_allreduce", SimpleNamespace(PeerLost=OSError))
    return World(tmp_path, job)


def failing(monkeypatch: pytest.MonkeyPatch, refuses: Callable[[str], bool]) -> None:
    put = storage.put

    def sometimes(file: Path, uri: str, **options: object) -> None:
        if refuses(uri):
            raise TrainerError("hdfs-write-failed", uri=uri, reason="put: no DataNode")
        put(file, uri)

    monkeypatch.setattr(storage, "put", sometimes)


def test_snapshots_and_the_model_are_stored(world: World) -> None:
    figures = world.run()

    assert figures["images"] == 12
    assert world.stored == [
        "m.caffemodel",
        *(
            f"mnist_lenet_iter_{i}.{kind}"
            for i in (2, 4, 6)
            for kind in ("caffemodel", "feed.json", "solverstate")
        ),
    ]
    assert [event.iteration for event in world.inbox.events if isinstance(event, contract.Snapshot)] == [
        2,
        4,
        6,
    ]


def test_a_snapshot_that_is_lost_does_not_fail_a_job_with_an_earlier_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, lambda uri: "iter_4" in uri)

    world.run()

    assert world.stored[0] == "m.caffemodel"
    assert not any("iter_4" in name for name in world.stored)
    assert any(isinstance(event, contract.UploadFailed) for event in world.inbox.events)


def test_a_job_without_anything_to_resume_from_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, lambda uri: True)

    with pytest.raises(TrainerError, match="cannot be stored"):
        world.run()


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_run_that_diverges_stops_before_its_snapshot_and_keeps_the_last_good_one(
    world: World, loss: float
) -> None:
    LOSSES.update({4: loss, 5: loss, 6: loss})

    with pytest.raises(TrainerError, match=f"iteration 3: it is {loss}: training has diverged"):
        world.run()

    assert world.stored == [
        f"mnist_lenet_iter_2.{kind}" for kind in ("caffemodel", "feed.json", "solverstate")
    ]


def test_a_run_that_diverges_stops_at_the_next_display(world: World) -> None:
    world.plan = replace(world.plan, job=replace(world.job, display=3, snapshot=0))
    LOSSES.update(dict.fromkeys(range(2, 7), float("nan")))

    with pytest.raises(TrainerError, match="iteration 3: it is nan"):
        world.run()

    assert world.stored == []
    assert [event.iteration for event in world.inbox.events if isinstance(event, contract.Display)] == [0, 3]


def test_a_run_that_diverges_at_its_end_writes_no_model(world: World) -> None:
    world.plan = replace(world.plan, job=replace(world.job, snapshot=0))
    LOSSES[6] = float("inf")

    with pytest.raises(TrainerError, match="iteration 6: it is inf"):
        world.run()

    assert world.stored == []


def test_statistics_are_averaged_before_each_snapshot_and_at_the_end(world: World) -> None:
    world.run()

    assert Solver.made[0].averaged == [2, 4, 6, 6]


@pytest.mark.parametrize(
    ("snapshot", "stored"), [(0, [6]), (1, [1, 2, 3, 4, 5, 6]), (4, [4, 6]), (3, [3, 6])]
)
def test_a_snapshot_after_the_last_iteration_is_written_once_where_asked(
    world: World, snapshot: int, stored: list[int]
) -> None:
    world.plan = replace(world.plan, job=replace(world.job, snapshot=snapshot, snapshot_after_train=True))

    world.run()

    found = [event.iteration for event in world.inbox.events if isinstance(event, contract.Snapshot)]
    assert found == stored


@pytest.mark.parametrize(
    ("asked", "at"),
    [
        ({}, [2, 4]),
        ({"final_validation": True}, [2, 4, 6]),
        ({"test_initialization": True}, [0, 2, 4]),
        ({"final_validation": True, "test_interval": 4}, [4, 6]),
    ],
)
def test_rounds_before_the_first_iteration_and_after_the_last_are_run_where_asked(
    world: World, asked: dict[str, Any], at: list[int]
) -> None:
    uri = world.plan.train
    data = replace(world.job.tests[0].data, uri=uri, batch=2, transform=world.job.train.transform)
    tests = (replace(world.job.tests[0], data=data, test_iter=1),)
    world.plan = replace(
        world.plan, job=replace(world.job, tests=tests, **{"test_interval": 2, **asked}), tests=(uri,)
    )

    world.run()

    found = [event.iteration for event in world.inbox.events if isinstance(event, contract.Validation)]
    assert found == at
    assert len(found) == rounds.expected(world.plan.job, 0)


def test_a_rank_tells_the_driver_which_step_it_is_in(world: World) -> None:
    world.run()

    steps = [contract.LOADING, contract.CONNECTING, contract.BEGINNING, contract.STORING]
    assert world.doing == steps


@pytest.mark.parametrize(("size", "signs"), [(1, 6), (2, 0)])
def test_a_rank_without_peers_gives_signs_of_life_while_it_validates(
    world: World, monkeypatch: pytest.MonkeyPatch, size: int, signs: int
) -> None:
    monkeypatch.setattr("jobs.trainer.ranks.validate.ALIVE_S", 0.0)
    data = replace(
        world.job.tests[0].data, uri=world.plan.train, batch=2, transform=world.job.train.transform
    )
    tests = (replace(world.job.tests[0], data=data, test_iter=2),)
    job = replace(world.job, tests=tests, test_interval=2, final_validation=True, snapshot=0)
    world.plan = replace(world.plan, job=job, size=size, communicate=False, tests=(world.plan.train,))

    world.run()

    assert world.doing.count(contract.VALIDATING) == signs


def test_a_run_without_validations_spends_no_time_on_them(world: World) -> None:
    assert world.run()["validation_seconds"] == 0


def test_several_test_nets_are_validated_with_their_numbers_on_a_source_of_training_too(
    world: World,
) -> None:
    uri = world.plan.train
    data = replace(world.job.tests[0].data, uri=uri, batch=2, transform=world.job.train.transform)
    tests = tuple(replace(world.job.tests[0], data=data, test_iter=count) for count in (1, 0, 2))
    job = replace(world.job, tests=tests, test_interval=2, snapshot=0)
    world.plan = replace(world.plan, job=job, tests=(uri, "", uri))

    world.run()

    found = [event for event in world.inbox.events if isinstance(event, contract.Validation)]
    assert [event.iteration for event in found] == [2, 4]
    assert [sorted(event.values) for event in found] == [["loss#0", "loss#2"]] * 2
    first, last = found[0].values["loss#0"][0], found[0].values["loss#2"][0]
    assert first == pytest.approx(0.5)
    assert last == pytest.approx(2001.5)


@pytest.mark.parametrize(("outputs", "name"), [(("loss",), "test_loss"), (("test_loss",), "test_loss_")])
def test_the_loss_of_a_test_net_is_added_where_the_solver_asks_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch, outputs: tuple[str, ...], name: str
) -> None:
    monkeypatch.setattr(Scorer, "outputs", outputs)
    uri = world.plan.train
    data = replace(world.job.tests[0].data, uri=uri, batch=2, transform=world.job.train.transform)
    tests = (replace(world.job.tests[0], data=data, test_iter=2),)
    job = replace(world.job, tests=tests, test_interval=4, test_compute_loss=True)
    world.plan = replace(world.plan, job=job, tests=(uri,))

    world.run()

    (found,) = [event for event in world.inbox.events if isinstance(event, contract.Validation)]
    assert list(found.values) == [*outputs, name]
    assert found.values[name] == [pytest.approx(7.0)]


def test_a_resumed_run_goes_on_with_the_records_and_the_random_numbers_of_the_first(world: World) -> None:
    world.run()
    through = Solver.made[0]
    state, feed = (world.tmp / f"out/mnist_lenet_iter_4.{kind}" for kind in ("solverstate", "feed.json"))
    world.plan = replace(world.plan, snapshot=f"file:{state}", feed=f"file:{feed}")
    (world.tmp / "scratch").rename(world.tmp / "before")

    world.run()

    resumed = Solver.made[1]
    assert resumed.read == through.read[8:]
    assert resumed.seeds == through.seeds[4:]
    assert len(set(through.seeds)) == 6


def test_two_runs_without_a_seed_differ(world: World) -> None:
    world.plan = replace(world.plan, job=replace(world.job, seed=-1))
    world.run()
    (world.tmp / "scratch").rename(world.tmp / "before")
    world.run()

    assert Solver.made[0].seeds != Solver.made[1].seeds
    assert Solver.made[0].read == Solver.made[1].read


def test_a_seed_of_zero_is_one(world: World) -> None:
    world.plan = replace(world.plan, job=replace(world.job, seed=0))
    world.run()
    (world.tmp / "scratch").rename(world.tmp / "before")
    world.run()

    assert Solver.made[0].seeds == Solver.made[1].seeds


@pytest.mark.parametrize(("seed", "told"), [(7, []), (-1, []), (8, ["seed 7, not from random_seed: 8"])])
def test_a_resumed_run_keeps_its_seed_and_tells_of_another_one(
    world: World, seed: int, told: list[str]
) -> None:
    world.plan = replace(world.plan, job=replace(world.job, seed=7))
    world.run()
    through = Solver.made[0]
    state, feed = (world.tmp / f"out/mnist_lenet_iter_4.{kind}" for kind in ("solverstate", "feed.json"))
    job = replace(world.job, seed=seed)
    world.plan = replace(world.plan, job=job, snapshot=f"file:{state}", feed=f"file:{feed}")
    (world.tmp / "scratch").rename(world.tmp / "before")

    figures = world.run()

    assert (figures["first"], figures["images"]) == (4, 4)
    assert Solver.made[1].seeds == through.seeds[4:]
    notes = [event.message for event in world.inbox.events if isinstance(event, contract.Note)]
    assert [note.partition("snapshot's ")[2] for note in notes] == told


@pytest.mark.parametrize(("max_iter", "refused"), [(3, True), (4, True), (5, False)])
def test_a_snapshot_at_the_last_iteration_leaves_nothing_to_train(
    world: World, max_iter: int, refused: bool
) -> None:
    world.run()
    state = world.tmp / "out/mnist_lenet_iter_4.solverstate"
    world.plan = replace(
        world.plan, job=replace(world.job, max_iter=max_iter, snapshot=0), snapshot=f"file:{state}"
    )
    (world.tmp / "scratch").rename(world.tmp / "before")

    if refused:
        with pytest.raises(TrainerError, match="4"):
            world.run()
    else:
        assert world.run()["images"] == 2


def test_an_attempt_that_goes_on_after_the_last_iteration_stores_the_model(world: World) -> None:
    world.plan = replace(world.plan, job=replace(world.job, snapshot=3))
    world.run()
    (world.tmp / "scratch").rename(world.tmp / "before")
    (world.tmp / "out/m.caffemodel").unlink()
    world.inbox.events.clear()
    state, feed = (world.tmp / f"out/mnist_lenet_iter_6.{kind}" for kind in ("solverstate", "feed.json"))
    world.plan = replace(world.plan, snapshot=f"file:{state}", feed=f"file:{feed}", goes_on=True)

    figures = world.run()

    assert (figures["first"], figures["images"]) == (6, 0)
    assert Solver.made[1].read == []
    assert (world.tmp / "out/m.caffemodel").exists()
    assert world.inbox.events == [], "no figure of an iteration that it has not done"


def displayed(world: World) -> list[tuple[int, float]]:
    return [(event.iteration, event.loss) for event in world.inbox.events if type(event) is contract.Display]


@pytest.mark.parametrize(("average", "losses"), [(1, [1, 2, 3, 4, 5, 6]), (2, [1, 1.5, 2.5, 3.5, 4.5, 5.5])])
def test_the_loss_is_the_mean_of_the_iterations_that_the_solver_averages(
    world: World, average: int, losses: list[float]
) -> None:
    LOSSES.update({iteration: float(iteration) for iteration in range(1, 7)})
    world.plan = replace(world.plan, job=replace(world.job, display=1, average_loss=average, snapshot=0))

    world.run()

    assert displayed(world) == list(enumerate(losses))
    last = world.inbox.events[-1]
    assert (type(last), last.iteration, last.max_iter, last.loss) == (contract.Progress, 6, 6, losses[-1])
    assert last.left_s == 0


def test_each_displayed_iteration_has_its_rate_and_the_rest_is_progress(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.trainer.ranks.pace.PROGRESS_EVERY", 0)
    world.plan = replace(world.plan, job=replace(world.job, display=4, snapshot=0))

    world.run()

    told = [event for event in world.inbox.events if isinstance(event, contract.Progress)]
    assert [(type(event).kind, event.iteration) for event in told] == [
        ("display", 0),
        ("progress", 1),
        ("progress", 2),
        ("progress", 3),
        ("display", 4),
        ("progress", 5),
        ("progress", 6),
    ]
    assert [event.lr for event in told if isinstance(event, contract.Display)] == [
        world.job.rate.at(0),
        world.job.rate.at(4),
    ]
    assert world.plan.communicate
    assert not world.plan.by_nccl


def test_a_rank_that_is_not_the_first_tells_and_stores_nothing(world: World) -> None:
    world.plan = replace(world.plan, size=2, communicate=False, job=replace(world.job, display=1))

    figures = world.run(rank=1)

    assert (figures["rank"], figures["images"]) == (1, 12)
    assert world.inbox.events == []
    assert {step.rank for step in world.steps} == {1}
    assert world.stored == []
    assert Solver.made[0].read[:3] == ["00000001", "00000003", "00000005"]


class Meeting:
    """Two ranks that meet in threads: Spark's barrier, and the group's mean."""

    def __init__(self) -> None:
        self._full, self._read = threading.Barrier(2), threading.Barrier(2)
        self._given: dict[int, Any] = {}

    def all(self, rank: int, mine: Any) -> list[Any]:
        self._given[rank] = mine
        self._full.wait(30)
        found = [self._given[each] for each in (0, 1)]
        self._read.wait(30)
        return found

    def peers(self, _address: str, exchange: Exchange, *_: Any) -> Any:
        return SimpleNamespace(
            rank=exchange.rank,
            size=2,
            waited_s=0.25,
            all_gather=lambda mine: self.all(exchange.rank, mine),
            allreduce_mean=lambda values: np.mean(self.all(exchange.rank, values), axis=0),
            broadcast_weights=lambda solver: self.all(exchange.rank, solver),
            attach=lambda *_: None,
            close=lambda: None,
        )


def two(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the figures of two ranks, or their errors."""
    meeting = Meeting()
    monkeypatch.setattr(train, "Peers", meeting.peers)
    monkeypatch.setattr(Solver, "solver", property(lambda self: self.folder), raising=False)
    world.plan = replace(world.plan, size=2)

    def run(rank: int) -> Any:
        folder = world.tmp / f"scratch-{rank}"
        folder.mkdir()
        exchange = Exchange(rank, 2, lambda text: meeting.all(rank, text))
        place = RankHost(rank, f"w{rank + 1}", "10.9.8.11")
        sender = SimpleNamespace(send=world.inbox.add, heard=list)
        # A process opens no LMDB twice: each rank has its copy, as on nodes.
        shutil.copytree(storage.local_path(world.job.train.uri), folder / "lmdb")
        plan = replace(world.plan, train=f"file:{folder}/lmdb")
        try:
            return train._Rank(plan, place, exchange, sender, folder).run()  # type: ignore[arg-type]
        except TrainerError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, (0, 1)))


def test_two_ranks_show_the_mean_of_their_losses_and_the_first_one_stores(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.plan = replace(world.plan, job=replace(world.job, display=6, snapshot=3))
    monkeypatch.setattr(Solver, "step", losing)

    figures = two(world, monkeypatch)

    assert [one["rank"] for one in figures] == [0, 1]
    assert {one["waited_seconds"] for one in figures} == {0.25}
    assert displayed(world) == [(0, 1.5)]
    assert world.stored == [
        "m.caffemodel",
        *(
            f"mnist_lenet_iter_{i}.{kind}"
            for i in (3, 6)
            for kind in ("caffemodel", "feed.json", "solverstate")
        ),
    ]


def losing(solver: Solver, _seed: int) -> float:
    """A step whose loss is 1 on the first rank and 2 on the other."""
    solver.iteration += 1
    return float(solver.folder.name[-1]) + 1


def test_ranks_that_end_with_other_weights_fail_after_the_model_is_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Solver, "step", losing)
    monkeypatch.setattr(Solver, "weights", lambda self: [self.folder.name.encode()])

    errors = two(world, monkeypatch)

    assert [error.code for error in errors] == ["weights-differ"] * 2
    assert "w1 has " in str(errors[0])
    assert "m.caffemodel" in world.stored


def test_the_token_of_a_job_is_in_no_log_and_a_plan_is_not_changed(world: World) -> None:
    with pytest.raises(FrozenInstanceError):
        world.plan.size = 2  # type: ignore[misc]
    assert "SECRET" not in repr(replace(world.plan, token=b"SECRET"))


# ---- the task around a rank


class Task:
    """A barrier task, and the rank that it runs."""

    def __init__(self, ends: Any) -> None:
        self.ends, self.places, self.gpus = ends, list[Any](), list[str]()
        infos = [SimpleNamespace(address=address) for address in ("10.9.8.11:41", "10.9.8.12:42", ":43")]
        self.rank = 1
        self.context = SimpleNamespace(
            partitionId=lambda: self.rank, getTaskInfos=lambda: infos, allGather=lambda text: [text]
        )

    def __call__(self, _plan: Any, place: Any, exchange: Exchange, *_: Any) -> Any:
        self.places.append((place.rank, place.address, exchange.rank, exchange.size))
        return self

    def run(self) -> dict[str, Any]:
        if isinstance(self.ends, BaseException):
            raise self.ends
        return {"rank": self.rank}


@pytest.fixture
def task(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Task]]:
    def make(ends: Any = None) -> Task:
        made = Task(ends)
        context = SimpleNamespace(get=lambda: made.context)
        monkeypatch.setitem(sys.modules, "pyspark", SimpleNamespace(BarrierTaskContext=context))
        monkeypatch.setattr(train, "_Rank", made)
        monkeypatch.setattr(device, "of_task", lambda: "2")
        monkeypatch.setattr(device, "use_gpu", made.gpus.append)
        monkeypatch.setattr("jobs.trainer.events.watch.watched", lambda *_: nullcontext())
        channel = Channel("127.0.0.1", world.inbox.add)
        channels.append(channel)
        world.plan = replace(world.plan, size=2, channel=channel.address)
        return made

    channels: list[Channel] = []
    yield make
    for channel in channels:
        channel.close()


@pytest.mark.parametrize(("rank", "address"), [(1, "10.9.8.12"), (2, gethostname())])
def test_a_task_runs_its_rank_and_tells_where_it_is(
    world: World, task: Callable[..., Task], rank: int, address: str
) -> None:
    made = task()
    made.rank = rank

    assert train.run_rank(world.plan) == [{"rank": rank}]

    assert world.inbox.wait(1) == [contract.RankStarted(rank, gethostname(), address)]
    assert made.places == [(rank, address, rank, 2)]
    assert made.gpus == []


def test_a_task_of_gpu_mode_uses_the_gpu_that_spark_has_given_it(
    world: World, task: Callable[..., Task]
) -> None:
    made = task()

    train.run_rank(replace(world.plan, job=replace(world.job, gpu=True)))

    assert made.gpus == ["2"]


@pytest.mark.parametrize(
    ("error", "origin"),
    [(PeerLost("peer-lost", reason="closed"), contract.PEER), (ValueError("odd"), contract.OWN)],
)
def test_a_task_tells_whether_its_rank_failed_or_lost_another_one(
    world: World, task: Callable[..., Task], error: Exception, origin: str
) -> None:
    task(error)

    with pytest.raises(type(error)):
        train.run_rank(world.plan)

    failed = world.inbox.wait(2)[1]
    assert (failed.rank, failed.host, failed.origin) == (1, gethostname(), origin)


def asks_after_each_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.trainer.ranks.agreement.PERIOD_S", 0.0)


def snapshots(world: World) -> list[tuple[int, bool]]:
    return [(one.iteration, one.timed) for one in world.inbox.events if isinstance(one, contract.Snapshot)]


def test_the_clock_adds_snapshots_which_the_driver_removes_when_training_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks_after_each_iteration(monkeypatch)
    monkeypatch.setattr("jobs.trainer.ranks.uploads.Uploads.busy", False)
    world.plan = replace(world.plan, job=replace(world.job, snapshot=4), snapshot_every=1e-9)

    figures = world.run()

    assert snapshots(world) == [(1, True), (2, True), (3, True), (4, False), (5, True)]
    kinds = ("caffemodel", "feed.json", "solverstate")
    names = [f"mnist_lenet_iter_{at}.{kind}" for at in (4, 5) for kind in kinds]
    # A rank may still be lost, and training go on from the newest.
    assert world.stored == ["m.caffemodel", *names]
    assert [uri.rpartition("/")[2] for uri in figures["obsolete"]] == names[3:]


def test_ranks_that_leave_take_a_snapshot_and_write_no_model(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks_after_each_iteration(monkeypatch)
    world.plan = replace(world.plan, job=replace(world.job, snapshot=0))
    world.words = [[], [], ["leave"]]

    figures = world.run()

    assert (figures["left"], snapshots(world)) == (3, [(3, True)])
    assert world.stored == [
        f"mnist_lenet_iter_3.{kind}" for kind in ("caffemodel", "feed.json", "solverstate")
    ]


def test_a_run_that_left_and_goes_on_ends_as_one_that_ran_through(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks_after_each_iteration(monkeypatch)
    world.plan = replace(world.plan, job=replace(world.job, snapshot=0, seed=7))
    world.run()
    (world.tmp / "scratch").rename(world.tmp / "first")
    world.words = [[], ["leave"]]
    world.run()
    (world.tmp / "scratch").rename(world.tmp / "second")
    state, feed = (world.tmp / f"out/mnist_lenet_iter_2.{kind}" for kind in ("solverstate", "feed.json"))
    timed = ((f"file:{state}", f"file:{feed}"),)
    world.plan = replace(world.plan, snapshot=f"file:{state}", feed=f"file:{feed}", timed=timed)

    figures = world.run()

    through, before, after = Solver.made
    assert before.read + after.read == through.read
    assert before.seeds + after.seeds == through.seeds
    assert figures["obsolete"] == [f"file:{state}", f"file:{feed}"]


def test_ranks_that_are_told_to_leave_at_the_end_finish(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks_after_each_iteration(monkeypatch)
    world.plan = replace(world.plan, job=replace(world.job, snapshot=0))
    world.words = [[]] * 5 + [["leave"]]

    figures = world.run()

    assert "left" not in figures
    assert world.stored == ["m.caffemodel"]


def test_a_notice_on_the_node_is_told_and_ends_the_stage(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asks_after_each_iteration(monkeypatch)
    file = tmp_path / "notice.json"
    file.write_text('{"why": "reclaimed", "at": 12}')
    monkeypatch.setattr("jobs.trainer.ranks.notice.NOTICE_FILE", str(file))

    figures = world.run()

    assert figures["left"] == 1
    assert contract.Interruption("w1", "reclaimed", 12.0) in world.inbox.events


def test_ranks_that_train_alone_do_not_leave(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asks_after_each_iteration(monkeypatch)
    file = tmp_path / "notice.json"
    file.write_text('{"why": "reclaimed", "at": 12}')
    monkeypatch.setattr("jobs.trainer.ranks.notice.NOTICE_FILE", str(file))
    world.words = [["leave"]]
    world.plan = replace(world.plan, communicate=False)

    assert "left" not in world.run()


def test_an_attempt_that_has_been_replaced_ends_without_a_file(world: World, tmp_path: Path) -> None:
    (tmp_path / "generation").write_text("2\n")
    world.plan = replace(world.plan, fence=Fence(f"file:{tmp_path}/generation", 1))

    with pytest.raises(TrainerError, match="has taken its place"):
        world.run()

    assert world.stored == []

"""A rank's run over a stand-in for Caffe's solver: what becomes of its snapshots and of the model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer import contract
from jobs.trainer.caffe import native
from jobs.trainer.caffe.prototxt import load
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.channel import Address
from jobs.trainer.files import storage
from jobs.trainer.ranks import train, uploads
from jobs.trainer.ranks.group import Exchange
from tests.jobs.trainer.events.conftest import Inbox


class Solver:
    """A solver that counts."""

    def __init__(self, _job: Any, _rank: int, folder: Path) -> None:
        self.folder, self.iteration = folder, 0

    def start(self, feed: Iterator[Any]) -> None:
        self.feed = feed

    def step(self) -> float:
        next(self.feed)
        self.iteration += 1
        return 0.5

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


class World:
    def __init__(self, tmp_path: Path, job: Any) -> None:
        self.tmp, self.job, self.inbox = tmp_path, job, Inbox()
        self.plan = train.Plan(
            job=job,
            size=1,
            channel=Address("127.0.0.1", 1, ""),
            train=job.train.uri,
            test="",
            weights=(),
            snapshot="",
            model=f"file:{tmp_path}/out/m.caffemodel",
            timeout_s=10,
            token=b"",
        )

    def run(self) -> dict[str, Any]:
        folder = self.tmp / "scratch"
        folder.mkdir()
        sender = SimpleNamespace(send=self.inbox.add)
        place = train.RankHost(0, "w1", "10.9.8.11")
        exchange = Exchange(0, 1, lambda text: [text])
        return train._Rank(self.plan, place, exchange, sender, folder).run()  # type: ignore[arg-type]

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
    monkeypatch.setattr(native, "protos", lambda: pb)
    monkeypatch.setattr(uploads, "PAUSES", (0.0,))
    monkeypatch.setitem(sys.modules, "caffe_allreduce", SimpleNamespace(PeerLost=OSError))
    return World(tmp_path, job)


def failing(monkeypatch: pytest.MonkeyPatch, refuses: Callable[[str], bool]) -> None:
    put = storage.put

    def sometimes(file: Path, uri: str) -> None:
        if refuses(uri):
            raise TrainerError("hdfs-write-failed", uri=uri, reason="put: no DataNode")
        put(file, uri)

    monkeypatch.setattr(storage, "put", sometimes)


def test_snapshots_and_the_model_are_stored(world: World) -> None:
    figures = world.run()

    assert figures["images"] == 12
    assert world.stored == [
        "m.caffemodel",
        *(f"mnist_lenet_iter_{i}.{kind}" for i in (2, 4, 6) for kind in ("caffemodel", "solverstate")),
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

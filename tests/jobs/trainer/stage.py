"""A job on a stand-in for Spark, whose ranks give figures."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer import contract, rounds
from jobs.trainer.events.channel import Address
from jobs.trainer.events.journal import Journal
from jobs.trainer.running import RunningJob

MODEL = "hdfs://h/mnist.model"


class World:
    """A job whose training from iteration 0 to 300 is over, with validations at some iterations."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *iterations: int, output_format: str = "json"
    ) -> None:
        self.shown = io.StringIO()
        self.stored: dict[str, tuple[str, list[Any]]] = {}
        self.fails = ""
        made: Any = object.__new__(RunningJob)
        made.spark, made.model, made.journal = None, MODEL, Journal(None, self.shown)
        made.options = SimpleNamespace(output_format=output_format)
        made.executors = SimpleNamespace(removed=list)
        made.size = 2
        made.job = SimpleNamespace(max_iter=300, validates=lambda iteration: iteration in {100, 200})
        for iteration in iterations:
            made.journal.add(contract.Validation(iteration, 300, {"accuracy": [0.5]}))
        self.running = made
        monkeypatch.setattr(rounds, "write", self._write)
        monkeypatch.setattr("jobs.trainer.running.LATE_REPORTS_S", 0.0)

    def _write(self, _: Any, found: list[contract.Validation], uri: str, written_as: str) -> None:
        if self.fails:
            raise RuntimeError(self.fails)
        if found:
            self.stored[uri] = (written_as, [one.iteration for one in found])


class Stage:
    """A context that runs barrier stages: each rank gives its figures, unless `ends` has another end first.

    An end is called with the ranks; it raises, or returns what all ranks return.
    """

    def __init__(self) -> None:
        self.ends: list[Callable[[list[int]], dict[str, Any]]] = []
        self.plans: list[Any] = []

    def parallelize(self, ranks: Any, _: int) -> Any:
        self.ranks = list(ranks)
        return self

    def barrier(self) -> Any:
        return self

    def mapPartitions(self, body: Any) -> Any:
        (self.plan,) = body.args
        self.plans.append(self.plan)
        return self

    def collect(self) -> list[dict[str, Any]]:
        if self.ends:
            told = self.ends.pop(0)(self.ranks)
            return [{"rank": rank, "host": f"w{rank + 1}", **told} for rank in self.ranks]
        figures = {"first": 150, "seconds": 1.0, "images": 10, "sha256": "x", "waited_seconds": 0.0}
        return [{"rank": rank, "host": f"w{rank + 1}", **figures} for rank in self.ranks]


class Driver:
    """The driver's end of a channel, with the words that ranks were told."""

    address = Address("h", 1, "t")
    connected = True

    def __init__(self) -> None:
        self.told: list[str] = []
        self.tell = self.told.append
        self.renewed: Callable[[], None] = lambda: None

    def renew(self) -> None:
        self.renewed()

    def drain(self, _: float) -> bool:
        return True


class Storage:
    """Shared storage: every file exists; those written have their text."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.written: list[str] = []
        self.missing: set[str] = set()

    def exists(self, uri: str) -> bool:
        return uri not in self.missing

    def write(self, uri: str, text: str) -> None:
        self.texts[uri] = text
        self.written.append(text)

    def head(self, uri: str, size: int) -> bytes:
        return self.texts[uri].encode()[:size]

    def stamp(self, _: str) -> tuple[tuple[str, int, int], ...]:
        return tuple((uri, 0, 0) for uri in self.texts)

    def remove(self, uri: str) -> None:
        self.texts.pop(uri, None)


def on_stage(running: Any, transport: str) -> None:
    """Give a job two ranks that train on a stage."""
    running.context, running.ranks, running.conf = Stage(), 2, {contract.TRANSPORT_CONF: transport}
    running.nodes = SimpleNamespace(add=lambda uri: uri)
    running.data = SimpleNamespace(name=lambda source: source.uri)
    running.executors.launching = nullcontext
    running.files = Storage()
    running.options = SimpleNamespace(
        snapshot="hdfs://h/a.solverstate", weights=(), train=True, connection="ethernet", devices=1
    )
    running.job = SimpleNamespace(
        train=SimpleNamespace(uri="t"),
        tests=[],
        weights=(),
        average_loss=40,
        iter_size=4,
        max_iter=300,
        gpu=False,
    )


def net(uri: str, test_iter: int = 1) -> Any:
    return SimpleNamespace(data=SimpleNamespace(uri=uri), test_iter=test_iter)

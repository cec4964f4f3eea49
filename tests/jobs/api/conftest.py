"""Stand-ins for the Spark context of a notebook and for what the trainer does on it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from jobs.api import context
from jobs.trainer import contract

SETTINGS = {
    "spark.master": "spark://head:7077",
    "spark.driver.host": "127.0.0.1",
    "spark.task.maxFailures": "1",
    "spark.stage.maxConsecutiveAttempts": "1",
    "spark.executorEnv.PYTHONPATH": "/x:/opt/caffe/python",
    "spark.submit.pyFiles": "file:///job/trainer.zip",
}


class Context:
    """A SparkContext whose application has settings."""

    _jvm = None

    def __init__(self, settings: dict[str, str]) -> None:
        self.settings, self.applicationId = settings, f"app-{id(self)}"
        self._jsc: Any = SimpleNamespace(hadoopConfiguration=lambda: None)
        self.shipped: list[Path] = []

    def getConf(self) -> Any:
        return SimpleNamespace(getAll=self.settings.items, get=self.settings.get)

    def addPyFile(self, path: str) -> None:
        self.shipped.append(Path(path))


class Session:
    """A SparkSession; frames are what they are made of."""

    def __init__(self, **settings: str) -> None:
        named = {f"spark.{name.replace('_', '.')}": value for name, value in settings.items()}
        self.sparkContext = Context({**SETTINGS, **named})

    def createDataFrame(self, rows: Any, schema: Any, verifySchema: bool = True) -> Any:
        return rows, schema


class Trainer:
    """The trainer's driver: what it was made for, and results that a test sets."""

    made: ClassVar[list[Any]] = []
    rounds: ClassVar[list[contract.Validation]] = []

    def __init__(self, spark: Any, options: Any, job: Any, *rest: Any, **shared: Any) -> None:
        self.options, self.job, self.shared = options, job, shared
        self.journal, self.did = rest[1], list[str]()
        Trainer.made.append(self)

    def prepare(self, _: Any) -> Any:
        self.did.append("prepare")
        return SimpleNamespace(outputs=("accuracy", "loss"))

    def train(self, _: Any) -> None:
        self.did.append("train")
        for one in Trainer.rounds:
            self.journal.add(one)

    def scored(self, nets: Any, _: Any) -> Any:
        self.did.append("scored")
        return self

    def sums(self, nets: Any, _: Any) -> Any:
        return SimpleNamespace(means=lambda: {name: [0.5] for name in nets.outputs}, rows=10)

    def select(self, *columns: str) -> Any:
        self.columns = columns
        return self

    def persist(self, _: Any) -> Any:
        return self


class Executors:
    """Executors with one task slot each."""

    slot = 1

    def __init__(self, *_: Any, **__: Any) -> None:
        self.launching = nullcontext

    def require(self, size: int) -> None:
        self.size = size

    def slots(self) -> int:
        return Executors.slot


@pytest.fixture
def messages(pb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-in for pycaffe: its messages."""
    monkeypatch.setattr("jobs.trainer.caffe.native.load", lambda: None)
    monkeypatch.setattr("jobs.trainer.caffe.native.folder", lambda: "/opt/caffe/python")
    monkeypatch.setattr("jobs.trainer.caffe.native.protos", lambda: pb)
    monkeypatch.setattr("jobs.trainer.caffe.native.is_cpu_build", lambda: True)


@pytest.fixture
def trainer(messages: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Trainer]:
    """Stand-in for the trainer."""
    Trainer.made, Trainer.rounds, Executors.slot = [], [], 1
    monkeypatch.setattr(context, "_HELD", {})
    monkeypatch.setattr(context, "Executors", Executors)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name, stand_in in (("Driver", Trainer), ("Probe", lambda *_: SimpleNamespace(close=lambda: None))):
        monkeypatch.setattr(f"jobs.api.caffe_on_spark.{name}", stand_in)
    # A package of pyspark's, of which nothing is used but names.
    modules = {"pyspark": SimpleNamespace(StorageLevel=SimpleNamespace(MEMORY_AND_DISK=1))}
    for name, module in modules.items():
        monkeypatch.setitem(__import__("sys").modules, name, module)
    monkeypatch.setattr("jobs.trainer.rounds.schema", lambda columns: ["iteration", *columns])
    return Trainer

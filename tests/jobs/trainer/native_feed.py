"""Stand-in for the native module `caffe_feed`: raw records of an LMDB, without a transformation."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import lmdb
import numpy as np

from tests.jobs.trainer.messages import build


class BadRecord(ValueError):
    """See `caffe_feed.BadRecord`."""


class Feed:
    """See `caffe_feed.Feed`; what was asked for is in `asked`."""

    made: list[Feed] = []  # noqa: RUF012 - of all feeds

    def __init__(self, layer: dict[str, Any]) -> None:
        self.layer, self.asked = layer, list[tuple[int, int, int]]()
        Feed.made.append(self)

    def open(self, path: str) -> None:
        # The module that opens databases in Python opens none twice.
        with tempfile.TemporaryDirectory() as copy:
            shutil.copy(Path(path) / "data.mdb", copy)
            with lmdb.open(copy, readonly=True, lock=False) as env, env.begin() as transaction:
                datum = build().Datum
                self.records = [
                    (bytes(key).decode(), datum.FromString(value)) for key, value in transaction.cursor()
                ]

    def request(self, first: int, count: int, stride: int) -> None:
        self.asked.append((first, count, stride))

    def take(self, data: np.ndarray, labels: np.ndarray) -> list[str]:
        first, count, stride = self.asked.pop(0)
        taken = [self.records[(first + number * stride) % len(self.records)] for number in range(count)]
        for number, (_, datum) in enumerate(taken):
            data[number] = np.frombuffer(datum.data, np.uint8).reshape(data.shape[1:])
            labels[number] = datum.label
        return [key for key, _ in taken]

    def close(self) -> None:
        """Do nothing: there is no thread."""


def install(modules: dict[str, Any] = sys.modules) -> None:
    """Make `import caffe_feed` find this."""
    module = ModuleType("caffe_feed")
    module.Feed, module.BadRecord = Feed, BadRecord  # type: ignore[attr-defined]
    modules["caffe_feed"] = module

"""Fixtures for jobs: Caffe and its messages, databases, and the project's own prototxts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lmdb
import pytest

from tests.jobs.specs import SPECS
from tests.jobs.trainer.artefact import Caffe, found
from tests.jobs.trainer.messages import build


@pytest.fixture(scope="session")
def pb() -> Any:
    """Stand-in for caffe_pb2."""
    return build()


@pytest.fixture(scope="session")
def caffe(tmp_path_factory: pytest.TempPathFactory) -> Caffe:
    """Return a compiled Caffe; skip without one."""
    return found(tmp_path_factory.mktemp("caffe"))


@pytest.fixture
def prototxts(tmp_path: Path) -> Path:
    """The solver of MNIST in a folder of its own, with its net beside it."""
    for file in SPECS.glob("*.prototxt"):
        shutil.copy(file, tmp_path)
    return tmp_path / "lenet_memory_solver.prototxt"


@pytest.fixture
def database(tmp_path: Path, pb: Any) -> Callable[..., Path]:
    """Make an LMDB of Datum: record i has label i % 10 and every pixel i."""

    def make(
        count: int,
        name: str = "lmdb",
        shape: tuple[int, int, int] = (1, 2, 3),
        keys: Sequence[str] = (),
        **extra: Any,
    ) -> Path:
        path = tmp_path / name
        with lmdb.open(str(path), map_size=1 << 24) as env, env.begin(write=True) as transaction:
            for i in range(count):
                size = shape[0] * shape[1] * shape[2]
                fields = {"data": bytes([i % 256]) * size, **extra}
                datum = pb.Datum(channels=shape[0], height=shape[1], width=shape[2], label=i % 10, **fields)
                transaction.put((keys[i] if keys else f"{i:08d}").encode(), datum.SerializeToString())
        return path

    return make

"""The trainer over a stand-in for pycaffe: statistics and snapshots."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jobs.trainer.caffe import native
from jobs.trainer.caffe.prototxt import TrainingJob, load


class Net:
    """A net with a BatchNorm and an inner product."""

    def __init__(self) -> None:
        blob = lambda *shape: SimpleNamespace(  # noqa: E731
            data=np.zeros(shape, np.float32), count=int(np.prod(shape)), shape=shape
        )
        self.blobs = {"data": blob(2, 1, 1, 1), "label": blob(2), "loss": blob()}
        self.blob_loss_weights = {"data": 0.0, "label": 0.0, "loss": 1.0}
        self._layer_names = ["data", "bn", "ip"]
        self.layers = [SimpleNamespace(type=kind) for kind in ("Input", "BatchNorm", "InnerProduct")]
        self.params = {"bn": [blob(3), blob(3), blob(1)], "ip": [blob(2, 3), blob(2)]}
        self.copied: list[str] = []

    def copy_from(self, file: str) -> None:
        self.copied.append(Path(file).name)


class Caffe:
    """A module `caffe` with one solver."""

    def __init__(self) -> None:
        self.net, self.iter = Net(), 0

    def get_solver(self, _: str) -> Caffe:
        return self

    def restore(self, state: str) -> None:
        # As in an HDF5 snapshot, which names its weights without a folder.
        self.restored = Path(state).name, Path("net_iter_4.caffemodel.h5").read_text()


@pytest.fixture
def trainer(prototxts: Path, pb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> native.Trainer:
    caffe = Caffe()
    monkeypatch.setattr(native, "load", lambda: caffe)
    monkeypatch.setattr(native, "protos", lambda: pb)
    job: TrainingJob = load(prototxts, pb)
    return native.Trainer(job, 0, tmp_path)


def test_statistics_of_layers_are_averaged_and_weights_are_not_touched(trainer: native.Trainer) -> None:
    net = trainer.solver.net
    for number, blob in enumerate((*net.params["bn"], *net.params["ip"])):
        blob.data[...] = number + 1
    given: list[np.ndarray] = []

    def mean(values: np.ndarray) -> np.ndarray:
        given.append(values.copy())
        return values / 2

    trainer.average_statistics(mean)

    assert [one.tolist() for one in given] == [[1, 1, 1, 2, 2, 2, 3]]
    assert given[0].dtype == np.float64
    assert [blob.data.ravel()[0] for blob in net.params["bn"]] == [0.5, 1, 1.5]
    assert [blob.data.ravel()[0] for blob in net.params["ip"]] == [4, 5]


def test_without_statistics_no_rank_waits_for_the_others(trainer: native.Trainer) -> None:
    trainer._statistics.clear()

    trainer.average_statistics(lambda _: pytest.fail("asked the other ranks"))


def test_an_hdf5_snapshot_finds_its_weights_though_both_arrive_under_other_names(
    trainer: native.Trainer, tmp_path: Path
) -> None:
    state, weights = tmp_path / "1-net_iter_4.solverstate.h5", tmp_path / "2-net_iter_4.caffemodel.h5"
    state.write_bytes(b"\x89HDF\r\n\x1a\n")
    weights.write_text("weights")

    trainer.restore(state, "net_iter_4.solverstate.h5", [weights])

    assert trainer.solver.restored == (state.name, "weights")
    assert trainer.solver.net.copied == [weights.name]

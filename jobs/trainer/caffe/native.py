"""pycaffe: a solver fed from numpy arrays, and a net for scoring."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy as np

from jobs.trainer.caffe.datalayer import DataLayer
from jobs.trainer.caffe.prototxt import TrainingJob, native_solver
from jobs.trainer.errors import TrainerError
from jobs.trainer.sources.batches import Batch

QUIET = "1"
"""glog's minimum level: warnings. INFO writes a hundred lines per net."""


def load() -> Any:  # noqa: ANN401 - pycaffe has no types
    """Import pycaffe; glog reads its level once, at that moment.

    Raises:
        TrainerError: it is not installed on this node, or lacks a library.
    """
    os.environ.setdefault("GLOG_minloglevel", QUIET)
    try:
        import caffe
    except ImportError as error:
        raise TrainerError(
            "caffe-import-failed",
            host=socket.gethostname(),
            error=type(error).__name__,
            reason=str(error),
        ) from error

    caffe.set_mode_cpu()
    return caffe


def protos() -> Any:  # noqa: ANN401
    """Return Caffe's generated message classes."""
    load()
    from caffe.proto import caffe_pb2

    return caffe_pb2


def is_cpu_build() -> bool:
    """Return whether the loaded libcaffe was built without CUDA."""
    load()
    return "libcublas" not in Path("/proc/self/maps").read_text()


class Trainer:
    """A native solver for one rank, its files in `folder`."""

    def __init__(self, job: TrainingJob, rank: int, folder: Path) -> None:
        caffe = load()
        self._job, self._folder = job, folder
        net, self._prefix = folder / "net.prototxt", Path(job.snapshot_prefix).name
        net.write_text(job.train_net)
        (folder / "test.prototxt").write_text(job.test_net)
        solver = folder / "solver.prototxt"
        solver.write_text(native_solver(job, protos(), net=net, prefix=Path(self._prefix), rank=rank))
        with _inside(folder):
            self.solver = caffe.get_solver(str(solver))
        self._net = self.solver.net
        self._data, self._labels = (self._net.blobs[top] for top in job.train.tops)
        self._weights = self._net.blob_loss_weights
        self._loss = 0.0
        self._feed: Iterator[Batch] = iter(())
        self._net.before_forward(self._before_layer)

    @property
    def iteration(self) -> int:
        """Iterations done, including those before a resumed snapshot."""
        return int(self.solver.iter)

    def start(self, feed: Iterator[Batch]) -> None:
        """Set the source of batches."""
        self._feed = feed

    def step(self) -> float:
        """Run one iteration (iter_size batches forward and backward, one update); return this rank's loss."""
        self.solver.step(1)
        return self.loss()

    def loss(self) -> float:
        """Return the last batch's loss, by the net's loss weights."""
        blobs = self._net.blobs
        return float(sum(w * float(blobs[name].data.sum()) for name, w in self._weights.items() if w))

    def load_weights(self, files: Sequence[Path]) -> None:
        """Copy weights from models, by layer name."""
        for file in files:
            self._net.copy_from(str(file))

    def restore(self, state: Path, weights: Path) -> None:
        """Resume from a snapshot, with the path of its weights replaced by `weights`."""
        if state.name.endswith(".h5"):
            # Its path cannot be changed without an HDF5 library; snapshots written here have a bare name.
            expected = self._folder / state.name.replace(".solverstate", ".caffemodel")
            expected.symlink_to(weights.resolve())
        else:
            message = protos().SolverState.FromString(state.read_bytes())
            message.learned_net = str(weights.resolve())
            state = self._folder / "restored.solverstate"
            state.write_bytes(message.SerializeToString())
        state = state.resolve()
        with _inside(self._folder):
            self.solver.restore(str(state))
        self.load_weights([weights])

    def snapshot(self) -> List[Path]:
        """Write the current weights and solver state; return the two files."""
        with _inside(self._folder):
            self.solver.snapshot()
        stem = "{}_iter_{}".format(self._prefix, self.iteration)
        return [self._folder / (stem + kind + self._job.suffix) for kind in (".caffemodel", ".solverstate")]

    def save(self) -> Path:
        """Write the weights in the solver's snapshot format; return the file."""
        file = self._folder / ("final.caffemodel" + self._job.suffix)
        if self._job.hdf5:
            self._net.save_hdf5(str(file))
        else:
            self._net.save(str(file))
        return file

    def weights(self) -> Iterator[bytes]:
        """Yield the bytes of every parameter blob, in the net's order."""
        for blobs in self._net.params.values():
            for blob in blobs:
                yield np.ascontiguousarray(blob.data).tobytes()

    def validator(self) -> "Scorer":
        """Return a scorer of the TEST net that shares this solver's weights."""
        scorer = Scorer(self._job.test, self._folder / "test.prototxt")
        scorer.net.share_with(self._net)
        return scorer

    def _before_layer(self, layer: int) -> None:
        if layer == 0:
            data, labels, _ = next(self._feed)
            self._data.data[...] = data
            self._labels.data[...] = labels


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Change the working folder in this block, so that snapshots refer to each other by bare names.

    Kept short: Spark's files are relative to the original working folder.
    """
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class Scorer:
    """TEST net that maps a batch to each blob's values per sample."""

    def __init__(self, source: DataLayer, net: Path) -> None:
        self.net = load().Net(str(net), load().TEST)
        self._source = source
        self.outputs: Tuple[str, ...] = tuple(self.net.outputs)
        # By the full batch: a blob smaller than it (accuracy, loss) belongs to the whole batch.
        self._lengths: Dict[str, int] = {
            name: blob.count // source.batch for name, blob in self.net.blobs.items()
        }

    def length(self, name: str) -> int:
        """Return the number of values per sample of a blob."""
        return self._lengths[name] or int(self.net.blobs[name].count)

    def run(self, batch: Batch, names: Sequence[str]) -> Dict[str, np.ndarray]:
        """Forward a batch of any size; return each named blob as (samples, length)."""
        data, labels, ids = batch
        inputs = [self.net.blobs[top] for top in self._source.tops]
        if inputs[0].shape[0] != len(ids):
            inputs[0].reshape(*data.shape)
            inputs[1].reshape(len(ids))
            self.net.reshape()
        inputs[0].data[...] = data
        inputs[1].data[...] = labels
        self.net.forward()
        return {name: self._per_sample(name, len(ids)) for name in names}

    def _per_sample(self, name: str, samples: int) -> np.ndarray:
        values = np.array(self.net.blobs[name].data, np.float32).ravel()
        length = self._lengths[name]
        if length == 0:
            return np.tile(values, (samples, 1))
        return values[: samples * length].reshape(samples, length)

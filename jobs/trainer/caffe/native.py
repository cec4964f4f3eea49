"""Everything that touches pycaffe: a solver fed from numpy, and a net that scores."""

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
"""glog's level: warnings and failures. INFO writes a hundred lines for each net."""


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
    """Caffe's generated message classes."""
    load()
    from caffe.proto import caffe_pb2

    return caffe_pb2


def is_cpu_build() -> bool:
    """True when the loaded libcaffe knows no CUDA."""
    load()
    return "libcublas" not in Path("/proc/self/maps").read_text()


class Trainer:
    """A native solver for one rank, its files in `folder`."""

    def __init__(self, job: TrainingJob, rank: int, folder: Path) -> None:
        caffe = load()
        self._job, self._folder = job, folder
        net, self._prefix = folder / "net.prototxt", Path(job.snapshot_prefix).name
        net.write_text(job.net)
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
        """Iterations done, those before a resumed snapshot included."""
        return int(self.solver.iter)

    def start(self, feed: Iterator[Batch]) -> None:
        """Say where batches come from."""
        self._feed = feed

    def step(self) -> float:
        """One iteration: iter_size batches forward and backward, one update. Returns this rank's loss."""
        self.solver.step(1)
        return self.loss()

    def loss(self) -> float:
        """The last batch's loss, weighted as the net says."""
        blobs = self._net.blobs
        return float(sum(w * float(blobs[name].data.sum()) for name, w in self._weights.items() if w))

    def load_weights(self, files: Sequence[Path]) -> None:
        """Copy weights from models, by layer name."""
        for file in files:
            self._net.copy_from(str(file))

    def restore(self, state: Path, weights: Path) -> None:
        """Go on from a snapshot; its own idea of where the weights lie is replaced by ours."""
        if state.name.endswith(".h5"):
            # Its path of the weights cannot be changed without an HDF5 library. Ours is a bare name.
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
        """Write weights and solver state of this moment; returns the two files."""
        with _inside(self._folder):
            self.solver.snapshot()
        stem = "{}_iter_{}".format(self._prefix, self.iteration)
        return [self._folder / (stem + kind + self._job.suffix) for kind in (".caffemodel", ".solverstate")]

    def save(self) -> Path:
        """Write the weights in the solver's snapshot format; returns the file."""
        file = self._folder / ("final.caffemodel" + self._job.suffix)
        if self._job.hdf5:
            self._net.save_hdf5(str(file))
        else:
            self._net.save(str(file))
        return file

    def weights(self) -> Iterator[bytes]:
        """The bytes of every parameter blob, in the net's order."""
        for blobs in self._net.params.values():
            for blob in blobs:
                yield np.ascontiguousarray(blob.data).tobytes()

    def validator(self) -> "Scorer":
        """The TEST net on this solver's weights: shared, not copied."""
        scorer = Scorer(self._job.test, self._folder / "net.prototxt")
        scorer.net.share_with(self._net)
        return scorer

    def _before_layer(self, layer: int) -> None:
        if layer == 0:
            data, labels, _ = next(self._feed)
            self._data.data[...] = data
            self._labels.data[...] = labels


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Snapshots name each other by paths: with bare names in a working folder they can be moved together.

    Only for a moment: Spark's own files are relative to the working folder that it gave us.
    """
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class Scorer:
    """The TEST net: a batch in, each blob's values per sample out."""

    def __init__(self, source: DataLayer, net: Path) -> None:
        self.net = load().Net(str(net), load().TEST)
        self._source = source
        self.outputs: Tuple[str, ...] = tuple(self.net.outputs)
        # Decided at the full batch: a blob smaller than it (accuracy, loss) belongs to the batch as a whole.
        self._lengths: Dict[str, int] = {
            name: blob.count // source.batch for name, blob in self.net.blobs.items()
        }

    def length(self, name: str) -> int:
        """How many values of the blob each sample gets."""
        return self._lengths[name] or int(self.net.blobs[name].count)

    def run(self, batch: Batch, names: Sequence[str]) -> Dict[str, np.ndarray]:
        """Forward one batch of any size; each named blob as (samples, length)."""
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

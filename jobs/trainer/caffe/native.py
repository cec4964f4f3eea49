"""pycaffe: a solver fed from numpy arrays, and a net for scoring."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import numpy as np

from jobs.trainer.caffe import device, models
from jobs.trainer.caffe.axes import NO_AXIS, reshape
from jobs.trainer.caffe.feed import Feed
from jobs.trainer.caffe.prototxt import EvaluationNet, TrainingJob, native_solver
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.shapes import in_words

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

    device.apply(caffe)
    return caffe


def folder() -> str:
    """Return the folder on Python's path that pycaffe is imported from."""
    return str(Path(load().__file__).parents[1])


def protos() -> Any:  # noqa: ANN401
    """Return Caffe's generated message classes."""
    load()
    from caffe.proto import caffe_pb2

    return caffe_pb2


def is_cpu_build() -> bool:
    """Return whether the loaded libcaffe was built without CUDA."""
    load()
    return "libcublas" not in Path("/proc/self/maps").read_text()


def has_nccl() -> bool:
    """Return whether the loaded libcaffe averages gradients by NCCL."""
    return bool(load().has_nccl())


KEEPING = ("BatchNorm",)
"""Types of layers that change their blobs in the forward pass, and not by gradients."""


class Trainer:
    """A native solver for one rank, its files in `folder`."""

    def __init__(self, job: TrainingJob, rank: int, folder: Path) -> None:
        caffe = load()
        self._job, self._folder = job, folder
        net, self._prefix = folder / "net.prototxt", Path(job.snapshot_prefix).name
        net.write_text(job.train_net)
        solver = folder / "solver.prototxt"
        solver.write_text(native_solver(job, protos(), net=net, prefix=Path(self._prefix), rank=rank))
        with _inside(folder):
            self.solver = caffe.get_solver(str(solver))
        self._net = self.solver.net
        layers = zip(self._net._layer_names, self._net.layers)
        kept = [name for name, layer in layers if layer.type in KEEPING]
        self._statistics = [blob for name in kept for blob in self._net.params[name]]

    @property
    def iteration(self) -> int:
        """Iterations done, including those before a resumed snapshot."""
        return int(self.solver.iter)

    def start(self, feed: Feed) -> None:
        """Take each batch of the TRAIN net from a feed."""
        self._feed = feed
        feed.attach(self.solver)

    def step(self, seed: int) -> float:
        """Run one iteration (iter_size batches forward and backward, one update); return this rank's loss.

        As Solver::Step shows it, the loss is the mean over the batches. `seed` is that of Caffe's random
        numbers in this iteration.

        Raises:
            Refused: the data layer does not take a record; it is named.
        """
        return self._feed.step(self.solver, seed, self._job.iter_size)

    def load_weights(self, files: Sequence[Path]) -> None:
        """Copy weights from models, by layer name; later files replace what earlier ones gave.

        Raises:
            Refused: a file gives no layer of this net weights, or weights of another shape.
        """
        shapes = {name: [tuple(blob.shape) for blob in blobs] for name, blobs in self._net.params.items()}
        for file in files:
            readable = models.kind_of(file) == models.WEIGHTS
            # Of HDF5, which only Caffe can read, the effect tells.
            before = [] if readable else list(self.weights())
            if readable:
                models.require_fit(protos().NetParameter.FromString(file.read_bytes()), shapes, file.name)
            self._net.copy_from(str(file))
            if not readable and list(self.weights()) == before:
                raise Refused("weights-match-no-layer", file=file.name, layers=", ".join(shapes))

    def restore(self, state: Path, name: str, weights: Sequence[Path]) -> None:
        """Resume from a snapshot that was written as `name`; `weights` replace its own, in their order."""
        first = weights[0].resolve()
        if models.kind_of(state) == models.HDF5:
            # Its path cannot be changed without an HDF5 library; snapshots written here have a bare name.
            expected = self._folder / name.replace(".solverstate", ".caffemodel")
            expected.symlink_to(first)
        else:
            message = protos().SolverState.FromString(state.read_bytes())
            message.learned_net = str(first)
            state = self._folder / "restored.solverstate"
            state.write_bytes(message.SerializeToString())
        state = state.resolve()
        with _inside(self._folder):
            self.solver.restore(str(state))
        for file in weights:
            self._net.copy_from(str(file))

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

    def average_statistics(self, mean: Callable[[np.ndarray], np.ndarray]) -> None:
        """Replace statistics that layers keep in blobs by their mean over all ranks; `mean` takes float64.

        Gradients are averaged, so weights are the same on all ranks; statistics come from each rank's own
        batches. Means are then exactly those of all batches. Variances lack the part between the ranks'
        batches of one iteration, which only a larger batch would see.
        """
        if not self._statistics:
            return
        values = mean(np.concatenate([np.asarray(one.data, np.float64).ravel() for one in self._statistics]))
        place = 0
        for blob in self._statistics:
            blob.data[...] = values[place : place + blob.count].reshape(blob.data.shape)
            place += blob.count

    def validator(self, number: int) -> "Scorer":
        """Return a scorer of a TEST net that shares this solver's weights."""
        net = self._job.tests[number]
        file = self._folder / "test{}.prototxt".format(number)
        file.write_text(net.net)
        scorer = Scorer(net, file)
        scorer.net.share_with(self._net)
        return scorer


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

    def __init__(self, test: EvaluationNet, file: Path) -> None:
        self.net = load().Net(str(file), load().TEST)
        self._source, self._axes, self._loss = test.data, test.axes, 0.0
        self.outputs: Tuple[str, ...] = tuple(self.net.outputs)
        # The batch's are accuracies, also by class, blobs without its axis, and those smaller than it (loss).
        tops = self.net.top_names
        layers = zip(self.net._layer_names, self.net.layers)
        accuracies = {top for name, layer in layers if layer.type == "Accuracy" for top in tops[name]}
        whole = accuracies | (set(self.net.blobs) - set(self._axes) if self._axes else set())
        self._lengths: Dict[str, int] = {
            name: 0 if name in whole else blob.count // test.data.batch
            for name, blob in self.net.blobs.items()
        }
        self._count = test.data.batch

    def length(self, name: str) -> int:
        """Return the number of values per sample of a blob."""
        return self._lengths[name] or int(self.net.blobs[name].count)

    def run(self, feed: Feed, names: Sequence[str]) -> Tuple[List[str], Dict[str, np.ndarray]]:
        """Forward the next batch of a feed, of any size; return ids, and named blobs as (samples, length).

        Raises:
            Refused: the data layer does not take a record; it is named.
        """
        count = feed.upcoming()
        if self._count != count:
            reshape(self.net, self._source.dims(count))
            self._count = count
        ids = feed.take(*(self.net.blobs[top].data for top in self._source.tops))
        # As `Net.forward` of pycaffe does, which does not pass the loss on.
        self._loss = float(self.net._forward(0, len(self.net.layers) - 1))
        return ids, {name: self._per_sample(name, count) for name in names}

    def loss(self) -> float:
        """Return the loss of the last batch, as Caffe adds it: all tops, each times its loss_weight."""
        return self._loss

    def _per_sample(self, name: str, samples: int) -> np.ndarray:
        values = np.array(self.net.blobs[name].data, np.float32)
        axis, length = self._axes.get(name, 0), self._lengths[name]
        if axis == NO_AXIS:
            raise Refused("blob-not-by-sample", blob=name, shape=in_words(values.shape))
        values = np.moveaxis(values, axis, 0).ravel() if axis else values.ravel()
        if length == 0:
            return np.tile(values, (samples, 1))
        return values[: samples * length].reshape(samples, length)

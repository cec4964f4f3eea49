"""Training job of a solver and its nets, with the texts for pycaffe.

The trainer feeds batches to pycaffe, so data layers become Input layers (which can be reshaped for the last,
partial batch of a test), transform_param is applied in numpy, and validation and snapshots are removed from
the solver, because the trainer does them.

The generated classes are passed as an argument (`pb`: caffe_pb2 on a node).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, List, Mapping, Optional, Sequence, Tuple

from google.protobuf import text_format

from jobs.trainer.caffe import text
from jobs.trainer.caffe.datalayer import DataLayer, as_memory, data_layer, source_of
from jobs.trainer.caffe.fields import judge_data, judge_net
from jobs.trainer.caffe.inputs import native_net, reshaped
from jobs.trainer.caffe.labels import Labels
from jobs.trainer.caffe.nets import nets_of
from jobs.trainer.caffe.schedule import Rate
from jobs.trainer.caffe.solver import Judged, judge
from jobs.trainer.contract import OVERRIDE_ENV
from jobs.trainer.errors import Refusals, Refused

OURS = (
    *("net", "net_param", "train_net", "train_net_param", "test_net", "test_net_param"),
    *("train_state", "test_state", "test_iter", "test_interval", "test_initialization"),
    "test_compute_loss",
    *("snapshot", "snapshot_after_train", "display", "weights"),
)
"""Fields of the solver that Caffe's own does not see: the trainer does what they say."""


@dataclass(frozen=True)
class EvaluationNet:
    """A TEST net; `net` is the text for pycaffe."""

    net: str
    data: DataLayer
    test_iter: int
    """Batches of a validation; 0: it is not validated."""
    axes: Mapping[str, int] = field(default_factory=dict)
    """Axes of blobs that are the batch's, of a net with transposed tops; else empty: it is the first one."""


@dataclass(frozen=True)
class TrainingJob:
    """A training job from its prototxts; `solver` and the nets are the texts for pycaffe."""

    name: str
    """The solver file's stem: names snapshots when the solver does not."""
    solver: str
    train_net: str
    train: DataLayer
    tests: Tuple[EvaluationNet, ...]
    """By their numbers; -test and -features score the first."""
    weights: Tuple[str, ...]
    """URIs of the weights that the solver starts from."""
    rate: Rate
    max_iter: int
    display: int
    average_loss: int
    iter_size: int
    snapshot: int
    snapshot_after_train: bool
    """Asked for: CaffeOnSpark writes the weights alone after the last iteration."""
    snapshot_prefix: str
    hdf5: bool
    gpu: bool
    seed: int
    """random_seed, or -1."""
    test_interval: int
    """0, as each test_iter, without interleaved validation."""
    test_initialization: bool
    """Asked for: CaffeOnSpark does not validate before the first iteration."""
    test_compute_loss: bool
    final_validation: bool
    """Asked for outside of the solver: Caffe validates after the last step by test_interval alone."""

    def validates(self, iteration: int) -> bool:
        """Return whether the TEST nets are validated after that many iterations; max_iter is the end."""
        if not self.test_interval or not any(test.test_iter for test in self.tests):
            return False
        if iteration == self.max_iter:
            return self.final_validation
        return iteration % self.test_interval == 0 and (iteration > 0 or self.test_initialization)

    @property
    def suffix(self) -> str:
        """Suffix of snapshots and models in this format."""
        return ".h5" if self.hdf5 else ""

    def numbered(self, name: str, number: int) -> str:
        """Return a name with the number of its TEST net, where there are several: `accuracy#1`."""
        return "{}#{}".format(name, number) if len(self.tests) > 1 else name


def load(path: Path, pb: Any, overrides: Optional[Mapping[str, str]] = None) -> TrainingJob:  # noqa: ANN401
    """Read and validate a solver and its nets.

    Raises:
        Refused: they cannot run; the message has the file, the field and valid values of every fault.
    """
    wanted = overrides or {}
    solver = text.read(path, pb.SolverParameter())
    if wanted.get("max_iter"):
        solver.max_iter = int(wanted["max_iter"])
    if wanted.get("solver_mode"):
        solver.solver_mode = pb.SolverParameter.SolverMode.Value(wanted["solver_mode"])
    faults = Refusals(path.name)
    judged, nets = Judged((), 0), []
    with faults.collecting():
        judged = judge(path, solver, pb)
    with faults.collecting():
        nets = nets_of(solver, path, pb)
    layers: List[Any] = []
    for net in nets:
        with faults.collecting():
            judge_net(net, faults)
            layers.append(data_layer(net))
            judge_data(layers[-1], net, faults, pb)
            as_memory(layers[-1], net, faults)
    sources: List[DataLayer] = []
    if nets and len(layers) == len(nets):
        with faults.collecting():
            _override(layers, wanted, path)
        for net, layer in zip(nets, layers):
            with faults.collecting():
                sources.append(source_of(layer, net, pb))
    if wanted.get("final_validation") == "1" and not judged.test_interval:
        faults.refuse("final-validation-without-rounds", file=path.name)
    faults.end()
    train, *tests = sources
    iters = [*judged.test_iters, *[0] * len(tests)]
    return TrainingJob(
        name=path.stem,
        solver=_native_solver(solver, pb),
        train_net=native_net(nets[0], train),
        train=train,
        tests=tuple(
            EvaluationNet(native_net(net, data), data, count)
            for net, data, count in zip(nets[1:], tests, iters)
        ),
        weights=tuple(one.strip() for several in solver.weights for one in several.split(",") if one.strip()),
        rate=_rate(solver),
        max_iter=solver.max_iter,
        display=solver.display,
        average_loss=solver.average_loss,
        iter_size=solver.iter_size,
        snapshot=solver.snapshot,
        snapshot_after_train=solver.HasField("snapshot_after_train") and solver.snapshot_after_train,
        snapshot_prefix=solver.snapshot_prefix or path.stem,
        hdf5=solver.snapshot_format == pb.SolverParameter.HDF5,
        gpu=solver.solver_mode == pb.SolverParameter.GPU,
        seed=solver.random_seed if solver.random_seed >= 0 else -1,
        test_interval=judged.test_interval,
        test_initialization=solver.HasField("test_initialization") and solver.test_initialization,
        test_compute_loss=solver.test_compute_loss,
        final_validation=wanted.get("final_validation") == "1",
    )


def _override(layers: Sequence[Any], wanted: Mapping[str, str], path: Path) -> None:
    """Set the values that the environment gives over those of the data layers.

    Of several TEST nets, one that reads the TRAIN net's source goes on to.
    """
    train, *tests = (layer.memory_data_param for layer in layers)
    before = train.source
    train.source = wanted.get("train_source") or before
    source, others = wanted.get("test_source", ""), tests
    if len(tests) > 1:
        for one in tests:
            one.source = train.source if one.source == before else one.source
        others = [one for one in tests if one.source != train.source]
    given = sorted({one.source for one in others})
    if source and len(given) > 1:
        variable = OVERRIDE_ENV + "TEST_SOURCE"
        raise Refused("override-ambiguous", variable=variable, file=path.name, sources=", ".join(given))
    for one in others:
        one.source = source or one.source
    if wanted.get("batch"):
        train.batch_size = int(wanted["batch"])


def native_solver(job: TrainingJob, pb: Any, *, net: Path, prefix: Path, rank: int) -> str:  # noqa: ANN401
    """Return the solver of a rank, with the paths of its net and snapshots and its own seed.

    Ranks start from rank 0's weights; their seeds only affect dropout and the like, which must differ.
    """
    solver = text_format.Parse(job.solver, pb.SolverParameter())
    solver.train_net, solver.snapshot_prefix = str(net), str(prefix)
    if job.seed >= 0:
        solver.random_seed = seed_of(job, rank)
    return str(text_format.MessageToString(solver))


def seed_of(job: TrainingJob, rank: int) -> int:
    """Return the seed of a rank, as Caffe takes it: its lowest 32 bits."""
    return (job.seed + rank) % 2**32


def _rate(solver: Any) -> Rate:  # noqa: ANN401
    return Rate(
        base=solver.base_lr,
        policy=solver.lr_policy,
        gamma=solver.gamma,
        power=solver.power,
        stepsize=solver.stepsize,
        stepvalues=tuple(solver.stepvalue),
        max_iter=solver.max_iter,
    )


def _native_solver(solver: Any, pb: Any) -> str:  # noqa: ANN401
    native = pb.SolverParameter()
    native.CopyFrom(solver)
    for name in OURS:
        native.ClearField(name)
    # By default, NCCL's callback leaves the averaging to one after each layer, which nobody adds.
    native.layer_wise_reduce = False
    return str(text_format.MessageToString(native))


def with_sources(job: TrainingJob, train: str, tests: Sequence[str]) -> TrainingJob:
    """Return the job with absolute URIs of its sources."""
    layers = [replace(test.data, uri=uri) for test, uri in zip(job.tests, tests)]
    return _with(job, replace(job.train, uri=train), layers)


def with_shapes(job: TrainingJob, records: Mapping[str, Tuple[int, int, int]], pb: Any) -> TrainingJob:  # noqa: ANN401
    """Return the job with inputs of the shapes that first records tell, by TRAIN and the TEST nets' names."""
    if "TRAIN" in records:
        train = job.train.told(records["TRAIN"])
        job = replace(job, train=train, train_net=reshaped(job.train_net, train, pb))
    tests = list(job.tests)
    for number, test in enumerate(tests):
        record = records.get(job.numbered("TEST", number))
        if record:
            data = test.data.told(record)
            tests[number] = replace(test, data=data, net=reshaped(test.net, data, pb))
    return replace(job, tests=tuple(tests))


def with_labels(job: TrainingJob, train: Sequence[Labels], *tests: Sequence[Labels]) -> TrainingJob:
    """Return the job with the labels that its nets take of the tops of their data layers."""
    layers = [test.data.with_labels(labels) for test, labels in zip(job.tests, tests)]
    return _with(job, job.train.with_labels(train), layers)


def with_axes(job: TrainingJob, axes: Sequence[Mapping[str, int]]) -> TrainingJob:
    """Return the job with the axes that are the batch's in blobs of its TEST nets."""
    return replace(job, tests=tuple(replace(test, axes=own) for test, own in zip(job.tests, axes)))


def with_layers(job: TrainingJob, change: Callable[[DataLayer], DataLayer]) -> TrainingJob:
    """Return the job with changed data layers."""
    return _with(job, change(job.train), [change(test.data) for test in job.tests])


def _with(job: TrainingJob, train: DataLayer, tests: Sequence[DataLayer]) -> TrainingJob:
    changed = tuple(replace(test, data=data) for test, data in zip(job.tests, tests))
    return replace(job, train=train, tests=changed)

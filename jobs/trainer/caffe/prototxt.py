"""Solver and net prototxts: parsing, validation, and rewriting for pycaffe.

The trainer feeds batches to pycaffe, so data layers become Input layers (which can be reshaped for the last,
partial batch of a test), transform_param is applied in numpy, and validation and snapshots are removed from
the solver, because the trainer does them.

The generated classes are passed as an argument (`pb`: caffe_pb2 on a node).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from google.protobuf import text_format  # type: ignore[import-untyped]

from jobs.trainer.caffe.datalayer import DataLayer, data_layer, source_of
from jobs.trainer.caffe.schedule import POLICIES, Rate
from jobs.trainer.errors import Refused

PHASES = ("TRAIN", "TEST")


@dataclass(frozen=True)
class TrainingJob:
    """A training job from its prototxts; `solver` and `net` are the texts for pycaffe."""

    name: str
    """The solver file's stem: names snapshots when the solver does not."""
    solver: str
    net: str
    train: DataLayer
    test: DataLayer
    rate: Rate
    max_iter: int
    display: int
    average_loss: int
    iter_size: int
    snapshot: int
    snapshot_prefix: str
    hdf5: bool
    gpu: bool
    seed: int
    """random_seed, or -1."""
    test_iter: int
    test_interval: int
    """Both are 0 without interleaved validation."""

    @property
    def suffix(self) -> str:
        """Suffix of snapshots and models in this format."""
        return ".h5" if self.hdf5 else ""


def load(path: Path, pb: Any, overrides: Optional[Mapping[str, str]] = None) -> TrainingJob:  # noqa: ANN401
    """Read and validate a solver and its net.

    Raises:
        Refused: they cannot run; the message has the file, the field and valid values.
    """
    wanted = overrides or {}
    solver = _parse(path, pb.SolverParameter())
    net_path = _net_path(path, solver)
    net = _parse(net_path, pb.NetParameter(), path.name)
    if len(net.layers):
        raise Refused("net-format-old", file=net_path.name)
    layers = [data_layer(net, net_path, phase, pb) for phase in PHASES]
    for phase, layer in zip(PHASES, layers):
        source = wanted.get(phase.lower() + "_source")
        if source:
            layer.memory_data_param.source = source
    if wanted.get("batch"):
        layers[0].memory_data_param.batch_size = int(wanted["batch"])
    if wanted.get("max_iter"):
        solver.max_iter = int(wanted["max_iter"])
    train, test = (source_of(layer, phase, net_path, pb) for phase, layer in zip(PHASES, layers))
    test_iter, test_interval = _validation(path, solver)
    _check_solver(path, solver)
    rate = Rate(
        base=solver.base_lr,
        policy=solver.lr_policy,
        gamma=solver.gamma,
        power=solver.power,
        stepsize=solver.stepsize,
        stepvalues=tuple(solver.stepvalue),
        max_iter=solver.max_iter,
    )
    return TrainingJob(
        name=path.stem,
        solver=_native_solver(solver, pb),
        net=_native_net(net, (train, test), pb),
        train=train,
        test=test,
        rate=rate,
        max_iter=solver.max_iter,
        display=solver.display,
        average_loss=max(1, solver.average_loss),
        iter_size=max(1, solver.iter_size),
        snapshot=solver.snapshot,
        snapshot_prefix=solver.snapshot_prefix or path.stem,
        hdf5=solver.snapshot_format == pb.SolverParameter.HDF5,
        gpu=solver.solver_mode == pb.SolverParameter.GPU,
        seed=solver.random_seed if solver.random_seed >= 0 else -1,
        test_iter=test_iter,
        test_interval=test_interval,
    )


def native_solver(job: TrainingJob, pb: Any, *, net: Path, prefix: Path, rank: int) -> str:  # noqa: ANN401
    """Return the solver of a rank, with the paths of its net and snapshots and its own seed.

    Ranks start from rank 0's weights; their seeds only affect dropout and the like, which must differ.
    """
    solver = text_format.Parse(job.solver, pb.SolverParameter())
    solver.net, solver.snapshot_prefix = str(net), str(prefix)
    if job.seed >= 0:
        solver.random_seed = job.seed + rank
    return str(text_format.MessageToString(solver))


def _parse(path: Path, message: Any, solver: str = "") -> Any:  # noqa: ANN401
    try:
        text = path.read_text()
    except OSError as error:
        reason = str(error.strerror)
        if solver:
            raise Refused("net-unreadable", file=str(path), reason=reason, solver=solver) from error
        raise Refused("solver-unreadable", file=str(path), reason=reason) from error
    except UnicodeDecodeError as error:
        raise Refused("prototxt-binary", file=str(path)) from error
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise Refused("prototxt-syntax", file=str(path), position=str(error)) from error


def _net_path(path: Path, solver: Any) -> Path:  # noqa: ANN401
    if not solver.net:
        others = [field.name for field, _ in solver.ListFields() if "net" in field.name.split("_")]
        found = " (it has {})".format(", ".join(others)) if others else ""
        raise Refused("net-unnamed", file=path.name, found=found)
    net = Path(solver.net)
    # `--files` puts solver and net into one folder, whatever folder the solver names.
    candidates = [net, path.parent / net, path.parent / net.name]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise Refused("net-missing", net=solver.net, solver=path.name)


def _validation(path: Path, solver: Any) -> Tuple[int, int]:  # noqa: ANN401
    """Return (test_iter, test_interval), both 0 if validation is off."""
    if len(solver.test_iter) > 1:
        raise Refused("test-nets-unsupported", file=path.name, count=len(solver.test_iter))
    test_iter = solver.test_iter[0] if len(solver.test_iter) else 0
    if solver.test_interval and not len(solver.test_iter):
        raise Refused("test-iter-missing", file=path.name)
    if test_iter < 0 or solver.test_interval < 0:
        raise Refused("validation-negative", file=path.name)
    return (test_iter, solver.test_interval) if test_iter and solver.test_interval else (0, 0)


def _check_solver(path: Path, solver: Any) -> None:  # noqa: ANN401
    if solver.max_iter < 1:
        raise Refused("max-iter-too-small", file=path.name, value=solver.max_iter)
    if solver.lr_policy not in POLICIES:
        raise Refused("lr-policy-unknown", file=path.name, policy=solver.lr_policy, valid=", ".join(POLICIES))
    needs: Dict[str, List[str]] = {"step": ["stepsize"], "sigmoid": ["stepsize"], "multistep": ["stepvalue"]}
    for name in needs.get(solver.lr_policy, []):
        value = getattr(solver, name)
        if not (len(value) if name == "stepvalue" else value > 0):
            raise Refused("lr-policy-incomplete", file=path.name, policy=solver.lr_policy, field=name)
    if solver.base_lr <= 0:
        raise Refused("base-lr-not-positive", file=path.name, value=solver.base_lr)
    if solver.snapshot < 0 or solver.display < 0:
        raise Refused("snapshot-or-display-negative", file=path.name)


def _native_solver(solver: Any, pb: Any) -> str:  # noqa: ANN401
    native = pb.SolverParameter()
    native.CopyFrom(solver)
    for name in ("test_iter", "test_interval", "test_initialization", "snapshot", "display", "test_state"):
        native.ClearField(name)
    return str(text_format.MessageToString(native))


def _native_net(net: Any, sources: Tuple[DataLayer, DataLayer], pb: Any) -> str:  # noqa: ANN401
    native = pb.NetParameter()
    native.CopyFrom(net)
    of_phase = {getattr(pb, source.phase): source for source in sources}
    for layer in native.layer:
        for value, source in of_phase.items():
            if layer.name == source.layer and any(rule.phase == value for rule in layer.include):
                layer.type = "Input"
                for name in ("memory_data_param", "transform_param", "source_class"):
                    layer.ClearField(name)
                layer.input_param.shape.add().dim.extend((source.batch, *source.shape))
                layer.input_param.shape.add().dim.extend((source.batch,))
                break
    return str(text_format.MessageToString(native))


def with_sources(job: TrainingJob, train: str, test: str) -> TrainingJob:
    """Return the job with absolute URIs of its sources."""
    return replace(job, train=replace(job.train, uri=train), test=replace(job.test, uri=test))

"""Judgement of a solver: each field of SolverParameter is honoured, or refused by name.

Meanings are those of Caffe 1.0's caffe.proto and solvers. Caffe itself aborts for most of what is refused
here, after Spark has started and without naming the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, FrozenSet, NamedTuple, Tuple

from jobs.trainer.caffe.schedule import POLICIES
from jobs.trainer.errors import Refusals

TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
"""Solver types, also in the order of the old enum `solver_type`."""

_GROUPS: Dict[str, str] = {
    "nets and their states": "net net_param train_net train_net_param test_net test_net_param train_state "
    "test_state",
    "validation, by all ranks together": "test_iter test_interval test_initialization test_compute_loss",
    "schedule and progress": "base_lr lr_policy gamma power stepsize stepvalue max_iter iter_size display "
    "average_loss",
    "update, by Caffe's own solver": "type solver_type momentum momentum2 rms_decay delta weight_decay "
    "regularization_type clip_gradients",
    "snapshots": "snapshot snapshot_prefix snapshot_diff snapshot_format snapshot_after_train",
    "start, unless -weights are given": "weights",
    "execution": "random_seed solver_mode",
    "several GPUs in one process, without effect elsewhere as in Caffe": "device_id layer_wise_reduce",
}
HONOURED: FrozenSet[str] = frozenset(name for names in _GROUPS.values() for name in names.split(" "))
REFUSED: Dict[str, str] = {
    "debug_info": "the figures of every blob are not shown",
}
"""Fields that are refused when they are set to something else than their default, with the reason."""

_LEAST = {"max_iter": 1, "iter_size": 1, "average_loss": 1, "snapshot": 0, "display": 0}
_NEEDS = {"step": "stepsize", "sigmoid": "stepsize", "multistep": "stepvalue"}


class Judged(NamedTuple):
    """Values of a solver that are not read as they stand."""

    test_iters: Tuple[int, ...]
    """By TEST net: batches of a validation."""
    test_interval: int
    """0, as all of test_iters, without interleaved validation."""


def judge(path: Path, solver: Any, pb: Any) -> Judged:  # noqa: ANN401
    """Check a solver's own values; its nets are judged by `nets`.

    Raises:
        Refused: it has values that cannot be run; all of them are named.
    """
    faults = Refusals(path.name)
    for field, value in solver.ListFields():
        if field.name in REFUSED and value != field.default_value:
            reason = REFUSED[field.name]
            faults.refuse(
                "solver-field-refused", file=path.name, field=field.name, reason=reason, fix="Remove it."
            )
        elif field.name not in HONOURED and field.name not in REFUSED:
            faults.refuse("solver-field-unknown", file=path.name, field=field.name)
    for name, least in _LEAST.items():
        if getattr(solver, name) < least:
            faults.refuse(
                "solver-field-too-small",
                file=path.name,
                field=name,
                value=getattr(solver, name),
                least=least,
            )
    _rate(path, solver, faults)
    _type(path, solver, faults)
    if "://" in solver.snapshot_prefix:
        faults.refuse("snapshot-prefix-uri", file=path.name, prefix=solver.snapshot_prefix)
    validation = _validation(path, solver, faults)
    faults.end()
    return validation


def type_of(solver: Any) -> str:  # noqa: ANN401
    """Return the solver's type, also where the old field `solver_type` has it."""
    if solver.HasField("solver_type") and not solver.HasField("type"):
        return TYPES[solver.solver_type]
    return str(solver.type or TYPES[0])


def _rate(path: Path, solver: Any, faults: Refusals) -> None:  # noqa: ANN401
    if solver.base_lr < 0:
        faults.refuse("base-lr-negative", file=path.name, value=_short(solver.base_lr))
    if solver.lr_policy not in POLICIES:
        faults.refuse("lr-policy-unknown", file=path.name, policy=solver.lr_policy, valid=", ".join(POLICIES))
        return
    field = _NEEDS.get(solver.lr_policy, "")
    value: Any = getattr(solver, field) if field else 1
    if not (len(value) if field == "stepvalue" else value > 0):
        faults.refuse("lr-policy-incomplete", file=path.name, policy=solver.lr_policy, field=field)


def _type(path: Path, solver: Any, faults: Refusals) -> None:  # noqa: ANN401
    kind = type_of(solver)
    if solver.HasField("solver_type") and solver.HasField("type"):
        faults.refuse("solver-type-twice", file=path.name)
    if kind not in TYPES:
        faults.refuse("solver-type-unknown", file=path.name, type=kind, valid=", ".join(TYPES))
    # CHECKs of the solvers' constructors
    if kind in {"AdaGrad", "RMSProp"} and solver.momentum:
        faults.refuse(
            "solver-type-has-no-momentum", file=path.name, type=kind, momentum=_short(solver.momentum)
        )
    if kind == "RMSProp" and not 0 <= solver.rms_decay < 1:
        faults.refuse("rms-decay-invalid", file=path.name, value=_short(solver.rms_decay))
    if solver.regularization_type not in {"L1", "L2"}:
        faults.refuse("regularization-unknown", file=path.name, type=solver.regularization_type)


def _validation(path: Path, solver: Any, faults: Refusals) -> Judged:  # noqa: ANN401
    given = tuple(int(one) for one in solver.test_iter)
    if solver.test_interval and not given:
        faults.refuse("test-iter-missing", file=path.name)
    if min((*given, solver.test_interval)) < 0:
        faults.refuse("validation-negative", file=path.name)
    on = any(given) and solver.test_interval > 0
    return Judged(given, int(solver.test_interval)) if on else Judged((0,) * len(given), 0)


def _short(value: float) -> str:
    """Return a float of 32 bits as people write it."""
    return "{:g}".format(value)

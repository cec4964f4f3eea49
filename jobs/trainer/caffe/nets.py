"""Nets of a solver: the TRAIN and the TEST net, each with the layers that its state selects.

The rules are those of Solver::InitTrainNet, Solver::InitTestNets and Net::FilterNet of Caffe 1.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, NamedTuple, Tuple

from jobs.trainer.caffe import text
from jobs.trainer.errors import Refusals, Refused

TRAIN_FIELDS = ("train_net_param", "train_net", "net_param", "net")
TEST_FIELDS = ("test_net_param", "test_net", "net_param", "net")
"""Fields that may hold a phase's net; the first two hold that of one phase alone."""


class PhaseNet(NamedTuple):
    """A net as one phase sees it: without rules, and without layers that they leave out."""

    phase: str
    net: Any
    """NetParameter."""
    path: Path
    """File that it comes from; the solver's for a net inside the solver."""


def nets_of(solver: Any, path: Path, pb: Any) -> Tuple[PhaseNet, PhaseNet]:  # noqa: ANN401
    """Return the TRAIN net and the TEST net.

    Raises:
        Refused: a net is missing, given twice, or not valid.
    """
    given = [name for name in TRAIN_FIELDS if solver.HasField(name)]
    if not given:
        others = [field.name for field, _ in solver.ListFields() if "net" in field.name.split("_")]
        found = " (it has {})".format(", ".join(others)) if others else ""
        raise Refused("net-unnamed", file=path.name, found=found)
    if len(given) > 1:
        raise Refused("net-given-twice", file=path.name, fields=", ".join(sorted(given)))
    states = list(solver.test_state)
    tests = [*solver.test_net_param, *solver.test_net]
    if len(tests) > 1 or len(states) > 1 or (tests and len(solver.test_iter) > len(tests)):
        raise Refused("test-nets-unsupported", file=path.name)
    train, file = _net(solver, given[0], path, pb)
    test, test_file = train, file
    if tests:
        test, test_file = _net(solver, "test_net_param" if solver.test_net_param else "test_net", path, pb)
    elif given[0].startswith("train_"):
        raise Refused("test-net-missing", file=path.name, field=given[0])
    return (
        _of_phase("TRAIN", train, file, [solver.train_state] * solver.HasField("train_state"), pb),
        _of_phase("TEST", test, test_file, states, pb),
    )


def meets(rule: Any, state: Any) -> bool:  # noqa: ANN401
    """Return whether a state meets a NetStateRule."""
    if rule.HasField("phase") and rule.phase != state.phase:
        return False
    if rule.HasField("min_level") and state.level < rule.min_level:
        return False
    if rule.HasField("max_level") and state.level > rule.max_level:
        return False
    stages = set(state.stage)
    return stages.issuperset(rule.stage) and stages.isdisjoint(rule.not_stage)


def included(layer: Any, state: Any) -> bool:  # noqa: ANN401
    """Return whether a net in this state has the layer."""
    if layer.include:
        return any(meets(rule, state) for rule in layer.include)
    return not any(meets(rule, state) for rule in layer.exclude)


def _net(solver: Any, field: str, path: Path, pb: Any) -> Tuple[Any, Path]:  # noqa: ANN401
    """Return the message and the file of a net that the solver names or holds."""
    value = getattr(solver, field)
    value = value[0] if field.startswith("test_") else value
    if field.endswith("_param"):
        net, file = value, path
    else:
        file = _file(value, field, path)
        net = text.read(file, pb.NetParameter(), path.name)
    if len(net.layers):
        raise Refused("net-format-old", file=file.name)
    return net, file


def _file(name: str, field: str, solver: Path) -> Path:
    # `--files` puts solver and nets into one folder, whatever folder the solver names.
    for candidate in (Path(name), solver.parent / name, solver.parent / Path(name).name):
        if candidate.is_file():
            return candidate
    raise Refused("net-missing", field=field, net=name, solver=solver.name)


def _of_phase(phase: str, net: Any, path: Path, states: List[Any], pb: Any) -> PhaseNet:  # noqa: ANN401
    state = pb.NetState(phase=getattr(pb, phase))
    for more in (net.state, *states):
        state.MergeFrom(more)
    faults = Refusals(path.name)
    if state.phase != getattr(pb, phase):
        faults.refuse("state-of-other-phase", file=path.name, phase=phase)
    for layer in net.layer:
        if layer.include and layer.exclude:
            faults.refuse("include-and-exclude", layer=layer.name, file=path.name)
    faults.end()
    selected = pb.NetParameter()
    selected.CopyFrom(net)
    selected.ClearField("state")
    del selected.layer[:]
    for layer in net.layer:
        if included(layer, state):
            copy = selected.layer.add()
            copy.CopyFrom(layer)
            copy.ClearField("include")
            copy.ClearField("exclude")
    return PhaseNet(phase, selected, path)

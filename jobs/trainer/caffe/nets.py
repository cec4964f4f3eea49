"""Nets of a solver: the TRAIN net and the TEST nets, each with the layers that its state selects.

The rules are those of Solver::InitTrainNet, Solver::InitTestNets and Net::FilterNet of Caffe 1.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

from jobs.trainer.caffe import text
from jobs.trainer.caffe.upgrade import upgraded
from jobs.trainer.errors import Refusals, Refused

TRAIN_FIELDS = ("train_net_param", "train_net", "net_param", "net")
TEST_FIELDS = ("test_net_param", "test_net")
"""Fields that may hold the TRAIN net, and those that hold TEST nets alone."""


class PhaseNet(NamedTuple):
    """A net as one phase sees it: without rules, and without layers that they leave out."""

    phase: str
    net: Any
    """NetParameter."""
    path: Path
    """File that it comes from; the solver's for a net inside the solver."""


def nets_of(solver: Any, path: Path, pb: Any) -> List[PhaseNet]:  # noqa: ANN401
    """Return the TRAIN net, then the TEST nets in the order of their numbers.

    TEST nets are those of test_net_param, those of test_net, and then the net of both phases once for each
    further `test_iter`; without any `test_iter` once, since -test and -features score it.

    Raises:
        Refused: a net is missing, given twice, or not valid.
    """
    first = _train_field(solver, path)
    read: Dict[Tuple[str, int], Tuple[Any, Path]] = {}
    wanted = [(first, 0), *_tests(solver, first, path)]
    for field, index in wanted:
        if (field, index) not in read:
            read[field, index] = _net(solver, field, index, path, pb)
    train, file = read[wanted[0]]
    nets = [_of_phase("TRAIN", train, file, [solver.train_state] * solver.HasField("train_state"), pb)]
    for number, one in enumerate(wanted[1:]):
        nets.append(_of_phase("TEST", *read[one], list(solver.test_state[number : number + 1]), pb))
    return nets


def declared_net(solver: Any, path: Path, pb: Any) -> Any:  # noqa: ANN401
    """Return the net that a solver trains, with the layers of all phases that it has.

    Raises:
        Refused: the net is missing, given twice, or not valid.
    """
    return _net(solver, _train_field(solver, path), 0, path, pb)[0]


def _train_field(solver: Any, path: Path) -> str:  # noqa: ANN401
    """Return the field of the TRAIN net."""
    given = [name for name in TRAIN_FIELDS if solver.HasField(name)]
    if not given:
        others = [field.name for field, _ in solver.ListFields() if "net" in field.name.split("_")]
        found = " (it has {})".format(", ".join(others)) if others else ""
        raise Refused("net-unnamed", file=path.name, found=found)
    if len(given) > 1:
        raise Refused("net-given-twice", file=path.name, fields=", ".join(sorted(given)))
    return given[0]


def _tests(solver: Any, train: str, path: Path) -> List[Tuple[str, int]]:  # noqa: ANN401
    """Return the fields of the TEST nets, each with its place in a repeated field."""
    tests = [(field, index) for field in TEST_FIELDS for index in range(len(getattr(solver, field)))]
    both, times = train in {"net", "net_param"}, len(solver.test_iter)
    if not both and not tests:
        raise Refused("test-net-missing", file=path.name, field=train)
    if times and (times < len(tests) or (times > len(tests) and not both)):
        raise Refused("test-iter-count", file=path.name, times=times, nets=len(tests))
    tests += [(train, 0)] * max(times - len(tests), not tests)
    states = len(solver.test_state)
    if states not in {0, len(tests)}:
        raise Refused("test-state-count", file=path.name, times=states, nets=len(tests))
    return tests


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


def _net(solver: Any, field: str, index: int, path: Path, pb: Any) -> Tuple[Any, Path]:  # noqa: ANN401
    """Return the message and the file of a net that the solver names or holds."""
    value = getattr(solver, field)
    value = value[index] if field in TEST_FIELDS else value
    if field.endswith("_param"):
        net, file = value, path
    else:
        file = _file(value, field, path)
        net = text.read(file, pb.NetParameter(), path.name)
    return upgraded(net, file.name, pb), file


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
    # Solvers set their own, and a net on its own would log the figures of every blob.
    selected.ClearField("debug_info")
    del selected.layer[:]
    for layer in net.layer:
        if included(layer, state):
            copy = selected.layer.add()
            copy.CopyFrom(layer)
            copy.ClearField("include")
            copy.ClearField("exclude")
    return PhaseNet(phase, selected, path)

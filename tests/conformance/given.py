"""A prototxt with the others that it needs: a solver with its nets, or a net with a solver."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from jobs.trainer.caffe import text
from jobs.trainer.caffe.nets import TEST_FIELDS, TRAIN_FIELDS
from jobs.trainer.caffe.upgrade import put, upgraded
from jobs.trainer.errors import Refused
from tests.conformance import port

PLAIN = 'base_lr: 1e-6 lr_policy: "fixed" max_iter: 3 solver_mode: CPU'
"""Solver of a net that is tried alone."""


@dataclass
class Prototxts:
    """A solver with the nets that it names, by their names in a folder of their own."""

    name: str
    """The solver's file."""
    solver: Any
    nets: dict[str, Any]

    def data_layers(self) -> list[Any]:
        """Return the data layers of all nets."""
        return [layer for net in self.every_net() for layer in port.data_layers(net)]

    def every_net(self) -> list[Any]:
        """Return the nets of files, and those inside the solver."""
        return [*self.nets.values(), *_inside(self.solver)]

    def write(self, folder: Path) -> Path:
        """Write all of them; return the solver's path."""
        folder.mkdir(parents=True)
        for name, net in self.nets.items():
            port.write(net, folder / name)
        path = folder / self.name
        port.write(self.solver, path)
        return path


def _inside(solver: Any) -> list[Any]:
    """Return the nets inside a solver."""
    names = ("net_param", "train_net_param")
    return [*(getattr(solver, name) for name in names if solver.HasField(name)), *solver.test_net_param]


def solver_of(file: Path, pb: Any) -> Any:
    """Return a file as a solver; None where it is something else."""
    try:
        return text.read(file, pb.SolverParameter())
    except Refused:
        return None


def net_of(file: Path, pb: Any) -> Prototxts:
    """Return a net with the plain solver of a net alone, in the states that a solver beside it has."""
    net = upgraded(text.read(file, pb.NetParameter()), file.name, pb)
    plain = text_format.Parse(f'net: "{file.name}" {PLAIN}', pb.SolverParameter())
    for other in sorted(file.parent.glob("*.prototxt")):
        solver = solver_of(other, pb)
        if solver is not None and Path(solver.net).name == file.name:
            for one, value in solver.ListFields():
                if one.name in {"train_state", "test_state", "test_iter"}:
                    put(plain, one.name, value)
            break
    return Prototxts("solver.prototxt", plain, {file.name: net})


def read(tree: Path, file: Path, solver: Any, pb: Any) -> Prototxts:
    """Return a solver with its nets.

    Raises:
        Refused: a net is missing, or does not parse.
    """
    nets = {}
    for one in _inside(solver):
        one.CopyFrom(upgraded(one, file.name, pb))
    for name in (*TRAIN_FIELDS, *TEST_FIELDS):
        value = getattr(solver, name)
        if name.endswith("_param") or not value:
            continue
        names = [value] if isinstance(value, str) else list(value)
        for one in names:
            places = (tree / one, file.parent / one, file.parent / Path(one).name)
            path = next((place for place in places if place.is_file()), None)
            if path is None:
                raise Refused("net-missing", field=name, net=one, solver=file.name)
            nets[path.name] = upgraded(text.read(path, pb.NetParameter()), path.name, pb)
    return Prototxts(file.name, solver, nets)

"""Trial of one prototxt: its kind, what the trainer's checks say of it, and three steps with Caffe.

Run by the Python that imports Caffe: `main(TREE, FILE, FOLDER)`. Prints a `Trial` as JSON after each stage,
since Caffe may end the process.
"""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jobs.trainer.caffe.datalayer import TOLD
from jobs.trainer.caffe.prototxt import TrainingJob, load, with_axes, with_labels, with_shapes
from jobs.trainer.errors import Refused
from tests.conformance import port
from tests.conformance.given import Prototxts, net_of, read, solver_of

STEPS = 3
SOLVER, TRAINING, DEPLOY, UNREADABLE = "solver", "training net", "deploy net", "not read"


@dataclass
class Trial:
    """A row of the table."""

    path: str
    kind: str = UNREADABLE
    layers: list[str] = field(default_factory=list)
    """Data layers, as `port.described`."""
    judged: str = ""
    """`accepted`, or `refused: ` with the reason."""
    ran: str = ""
    """`runs`, with what was changed for it; or why not."""


def words(error: Refused) -> str:
    """Return what a refusal tells, for the table: of several faults the first, without its remedy."""
    faults = str(error.fields.get("faults", ""))
    if not faults:
        return f"refused: {error.given}: {error.why}"
    first = faults.replace("(1) ", "", 1).partition(". ")[0]
    return f"refused: {first} ({error.fields['count']} faults)"


def judge(given: Prototxts, folder: Path, pb: Any) -> str:
    """Return what the checks say of prototxts as they are, with the files that they name."""
    path = given.write(folder)
    for net in given.every_net():
        for layer, name in port.means(net):
            try:
                ported = port.port(copy.deepcopy(layer), folder, layer.name)
            except port.NotPortable:
                continue
            port.write_mean(folder / name, ported.shape, pb)
    try:
        job = load(path, pb)
    except Refused as error:
        return words(error)
    return "refused: solver_mode: GPU" if job.gpu else "accepted"


def ported(given: Prototxts, folder: Path, hint: str, pb: Any) -> tuple[Path, list[str]]:
    """Write prototxts that read random records, with a solver of three steps; return it and the changes.

    Raises:
        NotPortable: a data layer cannot read such records.
    """
    notes: list[str] = []
    given, shapes = copy.deepcopy(given), {}
    for net in given.every_net():
        named = list(port.means(net))
        for layer in port.data_layers(net):
            found = port.port(layer, folder, hint)
            notes += found.notes
            shapes.update({name: found.shape for one, name in named if one is layer})
            folder.mkdir(parents=True, exist_ok=True)
            if found.columns:
                port.write_columns(folder, found.columns, pb)
            else:
                port.write_records(folder, found.shape, pb)
    solver = given.solver
    if solver.solver_mode != pb.SolverParameter.CPU:
        solver.solver_mode = pb.SolverParameter.CPU
        notes.append("solver_mode: CPU")
    solver.max_iter = STEPS
    solver.test_iter[:] = [1] * len(solver.test_iter)
    solver.ClearField("weights")
    path = given.write(folder / "ported")
    for name, shape in shapes.items():
        port.write_mean(path.parent / name, shape, pb)
    return path, list(dict.fromkeys(notes))


def steps(path: Path, folder: Path, pb: Any) -> float:
    """Train three steps, and validate each TEST net on a batch, as a rank does; return the last loss."""
    from jobs.trainer.caffe import native
    from jobs.trainer.caffe.feed import Feed
    from jobs.trainer.sources.shards import training_batches

    job = _told(load(path, pb), folder, pb)
    trainer = native.Trainer(job, 0, folder)
    feeds: dict[str, Any] = {}

    def feed(data: Any) -> Any:
        made = Feed(data, _source(data, pb), 1)
        made.ask(training_batches(0, data.batch, 1, 0))
        feeds[str(len(feeds))] = made
        return made

    trainer.start(feed(job.train))
    loss = math.nan
    for _ in range(STEPS):
        loss = trainer.step(1)
    for number, test in enumerate(job.tests):
        scorer = trainer.validator(number)
        scorer.run(feed(test.data), scorer.outputs)
    for one in feeds.values():
        one.close()
    return loss


_SOURCES: dict[str, Any] = {}
"""By URIs: a process cannot open an LMDB twice."""


def _source(data: Any, pb: Any) -> Any:
    from jobs.trainer.sources.registry import open_source

    if data.uri not in _SOURCES:
        path = Path(data.uri[len("file:") :])
        _SOURCES[data.uri] = open_source(data.source_class, path, pb.Datum)
    return _SOURCES[data.uri]


def _told(job: TrainingJob, folder: Path, pb: Any) -> TrainingJob:
    """Return a job with the shapes of its records and the labels of its nets, as the driver makes it."""
    from jobs.trainer.caffe.probe import Probe

    named = {"TRAIN": job.train}
    named.update((job.numbered("TEST", number), test.data) for number, test in enumerate(job.tests))
    shapes = {name: _source(data, pb).shape() for name, data in named.items() if data.shape == TOLD}
    job = with_shapes(job, shapes, pb)
    nets = Probe(job, folder).result()
    return with_axes(with_labels(job, *nets.labels), nets.axes)


def attempt(tree: Path, file: Path, folder: Path, pb: Any, show: Callable[[Trial], None]) -> None:
    """Show a file's trial after each stage."""
    trial = Trial(str(file.relative_to(tree)))
    solver = solver_of(file, pb)
    try:
        trial.kind = SOLVER if solver is not None else UNREADABLE
        given = net_of(file, pb) if solver is None else read(tree, file, solver, pb)
    except Refused as error:
        trial.judged = words(error)
        show(trial)
        return
    if solver is None:
        trial.kind = TRAINING if given.data_layers() else DEPLOY
    trial.layers = list(dict.fromkeys(map(port.described, given.data_layers())))
    trial.judged = "parses"
    if trial.kind != DEPLOY:
        trial.judged = judge(given, folder / "as-it-is", pb)
        trial.ran = "fails: Caffe ended the process"
    show(trial)
    if trial.kind == DEPLOY:
        return
    try:
        path, notes = ported(given, folder, trial.path, pb)
        loss = steps(path, folder, pb)
    except port.NotPortable as error:
        trial.ran = f"not run: {error}"
    except Refused as error:
        trial.ran = words(error)
    else:
        trial.ran = ", ".join(["runs", *notes, *([] if math.isfinite(loss) else ["diverges on noise"])])
    show(trial)


def main(tree: Path, file: Path, folder: Path) -> None:
    """Try a file; print its trial."""
    from jobs.trainer.caffe import native

    pb = native.protos()
    os.chdir(folder)
    attempt(tree, file, folder, pb, lambda trial: print(json.dumps(asdict(trial)), flush=True))

"""`fab resume`: specification of a job that goes on where an ended one has stopped.

All of it comes from the cluster: the record, and the files that travelled with the job, which may not be on
this machine, or have changed here since.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from bootstrap.errors import ConfigError, JobError
from jobs.backends.base import Backend
from jobs.backends.registry import Backends
from jobs.job import JobRecord
from jobs.run import claims, snapshots
from jobs.spec import JobSpec, fault_of
from jobs.trainer.contract import Snapshot, Trained

AGAIN = "Run it again from the start: `fab submit --spec FILE`."


def resumed(
    backends: Backends,
    job: str,
    folder: Path,
    *,
    executors: int | None = None,
    iterations: int | None = None,
) -> tuple[Backend, JobSpec, str]:
    """Return an ended job's backend, the specification that goes on from it, and a line that says where.

    The job's files are fetched into `folder`, and have to stay there until the new job is submitted.

    Raises:
        ConfigError: a value of the command line is not valid.
        JobError: there is no such job, it runs, it is done, or it left nothing to go on from.
        CommandFailed, ServiceDown, Unreachable: the head or storage does not answer.
    """
    backend, record = backends.find(job)
    _require_ended(backend, record)
    _require_own(backend, record)
    history = snapshots.told(backend, record.job)
    trained = history.last(Trained)
    if trained is not None and trained.model and iterations is None and record.job.spec.script is None:
        spec, line = _scoring(record, trained), f"scores the model of {job}: {trained.model}"
    else:
        spec, line = _training(record, snapshots.newest(backend, record.job, history))
    spec = spec.with_overrides(executors=executors, iterations=iterations)
    return backend, _with_files(backend, record, spec, folder), line


def _require_ended(backend: Backend, record: JobRecord) -> None:
    stack = backend.document.stack
    given = f"job {record.id}"
    if record.active:
        fix = f"Follow it with `fab attach {record.id} --stack {stack}`, or end it with `fab kill`."
        raise JobError(given, "it still runs", fix)
    if record.state == "done":
        raise JobError(
            given,
            "it is done: nothing is left to go on with",
            f"Fetch its results with `fab attach {record.id} --stack {stack}`. To train further, submit a "
            "specification with `weights`, `snapshot` and a larger max_iter.",
        )
    if record.state == "refused":
        fix = f"Run `fab attach {record.id} --stack {stack}` for the reason, and submit it again without it."
        raise JobError(given, "it was refused before it did anything", fix)
    if backend.unfinished(record.job):
        fix = f"End it with `fab kill {record.id} --stack {stack}`, then rerun this command."
        raise JobError(given, "the cluster manager still runs it, though its record has an end", fix)


def _require_own(backend: Backend, record: JobRecord) -> None:
    """Refuse snapshots and a model that a later job may have replaced by its own, of the same names."""
    later = claims.replaced(backend, record)
    if later:
        raise JobError(
            f"job {record.id}",
            f"job {later} has written the same names since (model: {record.job.spec.model}), so what is "
            "there may be of either",
            f"Go on from that one: `fab resume {later} --stack {backend.document.stack}`. {AGAIN}",
        )


def _training(record: JobRecord, snapshot: Snapshot | None) -> tuple[JobSpec, str]:
    """Return the specification that trains from a snapshot: the job's newest, else the one it began at."""
    spec = record.job.spec
    if not spec.train:
        raise JobError(f"job {record.id}", "it does not train, so it has no snapshot", AGAIN)
    if snapshot is not None:
        state, line = snapshot.state, f"goes on from iteration {snapshot.iteration} of {record.id}"
        changes = {"weights": snapshot.weights, "snapshot": state}
        return _changed(spec, changes), f"{line}: {state}"
    if spec.snapshot:
        return spec, f"goes on where {record.id} began, which left no snapshot of its own: {spec.snapshot}"
    raise JobError(f"job {record.id}", "it left no snapshot that is whole in storage", AGAIN)


def _scoring(record: JobRecord, trained: Trained) -> JobSpec:
    """Return the specification that does what is left after training."""
    spec = record.job.spec
    if not (spec.test or spec.features):
        why = f"its training is done, and nothing else was asked of it: {trained.model}"
        fix = "Use the model; or give --iterations, more than before, to train on from its last snapshot."
        raise JobError(f"job {record.id}", why, fix)
    nothing = {"train": False, "final_validation": False, "weights": "", "snapshot": ""}
    return _changed(spec, {**nothing, "model": trained.model})


def _with_files(backend: Backend, record: JobRecord, spec: JobSpec, folder: Path) -> JobSpec:
    """Return the specification with the files that travelled with the job, fetched into a folder."""
    scripts = (spec.script,) if spec.script else ()
    names = [path.name for path in (spec.solver, spec.net, *spec.files, *scripts)]
    backend.bring_files(record.job, names, folder)
    return _changed(
        spec,
        {
            "solver": folder / spec.solver.name,
            "net": folder / spec.net.name,
            "files": tuple(folder / file.name for file in spec.files),
            "script": folder / spec.script.name if spec.script else None,
        },
    )


def _changed(spec: JobSpec, changes: Mapping[str, object]) -> JobSpec:
    try:
        return JobSpec.model_validate({**spec.model_dump(), **changes})
    except ValidationError as error:
        raise ConfigError("the job's specification", fault_of(error), AGAIN) from error

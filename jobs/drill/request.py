"""Request for a drill: stack, interruption, job, and the job to compare it with; checked before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from bootstrap.cluster import ClusterDocument, Hdfs
from bootstrap.errors import ConfigError
from bootstrap.others_json import json_object
from jobs.drill.record import Kind, Plan
from jobs.job import require_job_id
from jobs.spec import JobSpec

SNAPSHOT_EVERY: Final = 10.0
"""Seconds between snapshots, where the specification says nothing."""

HDFS_COPIES: Final = 2
"""Most copies of a file in a stack's own HDFS; see the role's hdfs-site.xml."""


class Undisturbed(NamedTuple):
    """A job without an interruption, and its accuracy, if it has one."""

    job: str
    accuracy: float | None


def planned(count: int, *, no_notice: bool, partition: bool, notice_s: float, heal_s: float) -> Plan:
    """Return the interruption that flags ask for.

    Raises:
        ConfigError: they exclude each other.
    """
    if no_notice and partition:
        why = "a partition has no notice, and takes no node"
        raise ConfigError("--no-notice --partition", why, "Give one of them.")
    kind: Kind = "partition" if partition else "no-notice" if no_notice else "notice"
    return Plan(kind, count, float(notice_s), float(heal_s))


def require_local(document: ClusterDocument) -> None:
    """Refuse a stack whose nodes are not containers of this machine.

    Raises:
        ConfigError: it is in a cloud.
    """
    if document.provider != "local":
        raise ConfigError(
            f"stack {document.stack!r}",
            f"the drill takes nodes away, and these are machines of {document.provider}",
            "Name a local stack, such as dev.",
        )


def require_copies(document: ClusterDocument, plan: Plan) -> None:
    """Refuse to take more workers than shared storage survives.

    Raises:
        ConfigError: it is HDFS on the workers, and files would be lost, such as snapshots.
    """
    copies = min(HDFS_COPIES, document.worker_count)
    if plan.kind == "partition" or not isinstance(document.storage, Hdfs) or plan.count < copies:
        return
    kept = f"which keeps a file on {copies} of them" if copies > 1 else "which has one"
    raise ConfigError(
        f"--count {plan.count}",
        f"shared storage is HDFS on the workers, {kept}: it would lose files, and the framework with them",
        "Give --count 1, with two workers or more; or name a stack with another storage, such as dev-yarn.",
    )


def require_possible(plan: Plan, spec: JobSpec) -> None:
    """Refuse a drill that cannot take place.

    Raises:
        ConfigError: a number is out of range, or the job does not train.
    """
    given = f"--count {plan.count}"
    if not 1 <= plan.count <= spec.executors:
        raise ConfigError(given, f"the job has {spec.executors} executors", "Give 1 up to that many.")
    for flag, seconds in (("--notice-seconds", plan.notice_s), ("--partition-seconds", plan.heal_s)):
        if seconds <= 0:
            raise ConfigError(f"{flag} {seconds:g}", "it is not a valid duration", "Give at least 1.")
    if not spec.train:
        raise ConfigError("train: false", "the drill interrupts training", "Name another specification.")


def specification(spec: JobSpec, *, on_worker_lost: str | None) -> JobSpec:
    """Return a job for a drill: with snapshots, and `onWorkerLost` of the command line.

    Raises:
        ConfigError: the value is not valid, or says that the job ends.
    """
    chosen = on_worker_lost or spec.onWorkerLost
    if chosen not in {"shrink", "wait"}:
        why = "training does not go on with it" if chosen == "fail" else "it is not a valid value"
        raise ConfigError(f"onWorkerLost: {chosen}", why, "Give `--on-worker-lost shrink` or `wait`.")
    every = SNAPSHOT_EVERY if spec.snapshotEvery is None else spec.snapshotEvery
    changed = {"name": "drill", "onWorkerLost": chosen, "snapshotEvery": every}
    return JobSpec.model_validate({**spec.model_dump(), **changed})


def recorded(job: str, results: Path, spec: JobSpec) -> Undisturbed:
    """Return an earlier job to compare with.

    Raises:
        ConfigError: its summary is not there, or it is of another length or size.
        JobError: it is not a valid id.
    """
    require_job_id(job)
    given, path = f"--baseline {job}", results / job / "summary.json"
    fix = "Leave --baseline out: the drill runs such a job first."
    try:
        found = json_object(path.read_text())
        iterations, executors, accuracy = found["iterations"], found["executors"], found["accuracy"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(given, f"{path} cannot be read ({type(error).__name__})", fix) from error
    if (wanted := spec.max_iter) is not None and iterations != wanted:
        raise ConfigError(given, f"it has {iterations} iterations, and the drill {wanted}", fix)
    if executors != spec.executors:
        raise ConfigError(given, f"it has {executors} executors, and the drill {spec.executors}", fix)
    return Undisturbed(job, accuracy if isinstance(accuracy, float) else None)

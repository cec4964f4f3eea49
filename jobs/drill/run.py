"""Run of a drill: the undisturbed job, the disturbed one, and the verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.console import print_line, print_whole
from bootstrap.errors import CaffeSparkError, ConfigError
from jobs.backends.base import Backend
from jobs.drill import report
from jobs.drill.drill import Drill, Watched
from jobs.drill.group import LOG, simulated
from jobs.drill.record import Plan, Record
from jobs.drill.request import Undisturbed
from jobs.drill.timeline import Facts
from jobs.drill.verdict import Verdict, verdict
from jobs.run.run import run_job
from jobs.spec import JobSpec


class Here(NamedTuple):
    """The operator's machine: project folder, environment of commands, results, terminal."""

    root: Path
    env: Mapping[str, str]
    results: Path
    console: Console


def undisturbed(backend: Backend, spec: JobSpec, framework: str, here: Here) -> Undisturbed | None:
    """Run the job without an interruption; None when the user detached from it.

    Raises:
        CaffeSparkError: as `run_job`.
    """
    print_line(here.console, "drill    first the job without an interruption, to compare with")
    named = spec.model_copy(update={"name": "drill-undisturbed"})
    summary = run_job(backend, named, framework, here.console, here.results)
    return None if summary is None else Undisturbed(summary.job, summary.accuracy)


def disturbed(
    backend: Backend, spec: JobSpec, framework: str, plan: Plan, *, base: Undisturbed, here: Here
) -> Verdict:
    """Run the job, interrupt it, and report.

    Raises:
        CaffeSparkError: the drill could not take place, or as `run_job`; what is known has been reported.
    """
    cluster, record = _known(backend), Record()

    def say(line: str) -> None:
        print_line(here.console, f"drill    {line}")

    failed: CaffeSparkError | None = None
    accuracy: float | None = None
    with simulated(cluster, record, here.root, here.env) as group:
        drill = Drill(plan, cluster, group, record, say)
        watched = Watched(backend, record, drill.on_event)
        watched.on_launch = lambda job: group.log_to(here.results / job.id / LOG)
        try:
            with drill:
                summary = run_job(watched.backend, spec, framework, here.console, here.results)
                accuracy = summary.accuracy if summary else None
        except CaffeSparkError as error:
            failed = error
    judged = verdict(plan, record, accuracy=accuracy, baseline=base.accuracy)
    if watched.job is not None:
        job, nodes = watched.job.id, tuple(drill.nodes)
        facts = Facts(cluster.stack, job, plan, nodes, spec.executors, spec.onWorkerLost, base.job)
        print_whole(report.moments_table(record))
        print_whole(report.verdict_table(facts, judged))
        report.write(here.results / job, facts, record, judged, say)
    failed = failed or drill.error
    if failed is not None:
        raise failed
    return judged


def _known(backend: Backend) -> Cluster:
    cluster = backend.document
    if not isinstance(cluster, Cluster):
        raise ConfigError(f"stack {cluster.stack!r}", "its nodes are not known", "Name a local stack.")
    return cluster

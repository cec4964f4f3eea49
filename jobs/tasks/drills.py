"""Fabric task of drills.

Modules are imported by the task, as in `bootstrap.tasks`.
"""

from __future__ import annotations

import os

from fabric import task
from invoke.context import Context
from invoke.exceptions import Exit

from bootstrap.console import STACK_HELP, console, expected_errors_in_one_line
from bootstrap.tasks import reading_of
from jobs.tasks.common import RESULTS, ready, specified
from tools.environment import ROOT, environment


@task(
    name="drill-spot",
    help={
        "count": "nodes that are taken at once",
        "no_notice": "take them without a notice",
        "partition": "cut them off the network instead, and connect them again",
        "iterations": "length of the job: it has to train until the replacement is up",
        "notice_seconds": "seconds from the notice until the nodes are taken",
        "partition_seconds": "seconds of a partition",
        "on_worker_lost": "shrink or wait; default: the specification's",
        "baseline": "job in results/ to compare with; default: it is run first, without an interruption",
        "spec": "job specification to run",
        "stack": STACK_HELP,
    },
)
@expected_errors_in_one_line
def drill_spot(  # noqa: PLR0917 - flags, which Fabric passes by name
    context: Context,
    count: int = 1,
    no_notice: bool = False,
    partition: bool = False,
    iterations: int = 6_000,
    notice_seconds: int = 120,
    partition_seconds: int = 60,
    on_worker_lost: str | None = None,
    baseline: str | None = None,
    spec: str = "jobs/specs/mnist.yaml",
    stack: str | None = None,
) -> None:
    """Take workers of a local stack from a job, as a cloud does; print timeline and verdict."""
    from jobs.drill import request

    plan = request.planned(
        count,
        no_notice=no_notice,
        partition=partition,
        notice_s=notice_seconds,
        heal_s=partition_seconds,
    )
    job = request.specification(specified(spec, None, iterations), on_worker_lost=on_worker_lost)
    request.require_possible(plan, job)
    base = request.recorded(baseline, RESULTS, job) if baseline else None
    reading = reading_of(stack)
    from bootstrap.inventory.resolve import resolve
    from jobs import capacity
    from jobs.backends.registry import Backends
    from jobs.drill.run import Here, disturbed, undisturbed

    document = reading.document()
    request.require_local(document)
    request.require_copies(document, plan)
    cluster = resolve(document, console)
    capacity.check(job, cluster)
    framework = ready(context, cluster, job, None).key
    here = Here(ROOT, environment(ROOT, os.environ), RESULTS, console)
    with Backends.of(cluster) as backends:
        base = base or undisturbed(backends.default, job, framework, here)
        if base is None:
            return
        judged = disturbed(backends.default, job, framework, plan, base=base, here=here)
    if not judged.passed:
        raise Exit(code=1)

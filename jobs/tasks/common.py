"""Names that the tasks of jobs share: results, backends, and a job with its cluster made ready."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from bootstrap.arguments import help_if_asked
from bootstrap.console import console
from bootstrap.tasks import chosen_recipe, provision, reading_of
from tools.environment import ROOT

if TYPE_CHECKING:
    from bootstrap.cluster import Cluster
    from bootstrap.framework import Framework
    from jobs.backends.registry import Backends
    from jobs.spec import JobSpec

RESULTS = ROOT / "results"
JOB_HELP = "job id, as printed when it was submitted"


def backends_of(stack: str | None) -> Backends:
    """Return the backends of a stack's cluster; nodes are resolved when a backend needs them."""
    reading = reading_of(stack)
    from bootstrap.inventory.resolve import resolve
    from jobs.backends.registry import Backends

    document = reading.document()
    return Backends(document, lambda: resolve(document, console, wait=False, stopped=True))


def check_job(task_name: str, job: str) -> None:
    """Print a task's help for `--help`; refuse what is not a job's id before the cluster is looked up."""
    from jobs.job import require_job_id

    help_if_asked(task_name, job)
    require_job_id(job)


def specified(spec: str, executors: int | None, iterations: int | None) -> JobSpec:
    """Read a specification, from this folder or else the project's, with values of the command line."""
    from jobs.spec_file import read_spec

    job = read_spec(Path(spec) if Path(spec).exists() else ROOT / spec)
    return job.with_overrides(executors=executors, iterations=iterations)


def check_ready(context: Context, cluster: Cluster, job: JobSpec, recipe: str | None) -> None:
    """Raise what `ready` would refuse, as far as a look at the provisioned head tells it.

    Built-in data is not there before the first job that names it; own data has to be.
    """
    from bootstrap.ssh.remote import connect
    from bootstrap.storage.hadoop import SharedStorage
    from jobs.datasets import own, registry
    from jobs.datasets.prepare import ensure_shipped

    chosen_recipe(context, cluster, recipe)
    ensure_shipped(job)
    if job.data is not None and registry.built_in(job.data) is None:
        with connect(cluster, cluster.head) as head:
            # Its bytes are compared when the job begins.
            own.find(SharedStorage(head, cluster.shared_storage), job.data)


def ready(context: Context, cluster: Cluster, job: JobSpec, recipe: str | None) -> Framework:
    """Provision a cluster and its framework, and get the job's data ready, in storage and here."""
    from bootstrap.ssh.kept import Kept
    from jobs.datasets.prepare import ensure_data, ensure_shipped

    with Kept() as kept:
        framework = provision(cluster, chosen_recipe(context, cluster, recipe), kept)
        ensure_data(cluster, job, console, kept.connect)
    ensure_shipped(job)
    return framework

"""Fabric tasks that run jobs: submission, resumption, notebooks."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fabric import task
from invoke.context import Context

from bootstrap.console import STACK_HELP, console, expected_errors_in_one_line, for_stack, print_line
from bootstrap.errors import ConfigError
from bootstrap.tasks import RECIPE_HELP, cluster_of, reading_of
from jobs.tasks.common import JOB_HELP, RESULTS, backends_of, check_job, check_ready, ready, specified

if TYPE_CHECKING:
    from bootstrap.cluster import Cluster
    from jobs.backends.registry import Backends
    from jobs.spec import JobSpec

_SUBMIT_HELP = {
    "stack": STACK_HELP,
    "spec": "job specification to run",
    "executors": "override the specification's executors",
    "iterations": "override the solver's max_iter",
    "recipe": RECIPE_HELP,
    "livy": "on HDInsight: submit through Livy, by HTTPS alone, with the framework already installed",
}


@task(help=_SUBMIT_HELP)
@expected_errors_in_one_line
def submit(  # noqa: PLR0917 - flags, which Fabric passes by name
    context: Context,
    stack: str | None = None,
    spec: str | None = None,
    executors: int | None = None,
    iterations: int | None = None,
    recipe: str | None = None,
    livy: bool = False,
) -> None:
    """Run any job specification on Spark, stream progress, fetch the results."""
    if spec is None:
        fix = "Name a job specification: `fab submit --spec jobs/specs/mnist.yaml`."
        raise ConfigError("fab submit", "--spec is missing", fix)
    job = specified(spec, executors, iterations)
    _submit(context, job, stack=stack, recipe=recipe, livy=livy, again=f"fab submit --spec {spec}")


@task(help=_SUBMIT_HELP)
@expected_errors_in_one_line
def submit_mnist(  # noqa: PLR0917 - flags, which Fabric passes by name
    context: Context,
    stack: str | None = None,
    spec: str = "jobs/specs/mnist.yaml",
    executors: int | None = None,
    iterations: int | None = None,
    recipe: str | None = None,
    livy: bool = False,
) -> None:
    """Train on Spark, stream progress, fetch accuracy and features."""
    job = specified(spec, executors, iterations)
    _submit(context, job, stack=stack, recipe=recipe, livy=livy, again="fab submit-mnist")


def _run_through_livy(backends: Backends, job: JobSpec) -> None:
    """Run a job through Livy, with the framework that is on the cluster."""
    from bootstrap.framework import require_persisted
    from jobs.backends.registry import LIVY
    from jobs.datasets.prepare import ensure_shipped
    from jobs.run.run import run_job

    backend = backends.get(LIVY)
    ensure_shipped(job)
    run_job(backend, job, require_persisted(backends.document), console, RESULTS)


def _run_on(context: Context, cluster: Cluster, job: JobSpec, recipe: str | None, *, again: str) -> None:
    """Provision a cluster and run a job on it; `again` is the command that does so again."""
    from jobs import capacity
    from jobs.backends.registry import Backends
    from jobs.run.growth import room
    from jobs.run.run import run_job

    with room(cluster, job, console, lambda: check_ready(context, cluster, job, recipe)) as found:
        capacity.check(job, found.cluster)
        framework = ready(context, found.cluster, job, recipe)
        with Backends.of(found.cluster) as backends:
            run_job(backends.default, job, framework.key, console, RESULTS, found.use)
    next_ = f"Next: `fab doctor`, another `{again}`, or `pulumi destroy`"
    console.print(for_stack(next_, cluster.stack), soft_wrap=True)


def _submit(
    context: Context, job: JobSpec, *, stack: str | None, recipe: str | None, livy: bool, again: str
) -> None:
    """Run a job on the stack's cluster, through Livy or as `_run_on` does."""
    if livy and recipe:
        raise ConfigError(
            f"--livy --recipe {recipe}",
            "a job through Livy uses the framework already on the cluster",
            f"Run `fab build-headnode --recipe {recipe}`, then this command without --recipe.",
        )
    if livy and job.script:
        why = "scripts run through the head, not through Livy"
        raise ConfigError(f"--livy with {job.script.name}", why, "Run the command without --livy.")
    if livy:
        with backends_of(stack) as backends:
            _run_through_livy(backends, job)
        return
    reading = reading_of(stack)
    # While the CLI reads the stack.
    from jobs.run import run  # noqa: F401

    _run_on(context, cluster_of(reading), job, recipe, again=again)


@task(
    positional=["job"],
    help={
        "job": JOB_HELP,
        "stack": STACK_HELP,
        "executors": "override the job's executors",
        "iterations": "override the solver's max_iter",
        "recipe": RECIPE_HELP,
    },
)
@expected_errors_in_one_line
def resume(  # noqa: PLR0917 - flags, which Fabric passes by name
    context: Context,
    job: str,
    stack: str | None = None,
    executors: int | None = None,
    iterations: int | None = None,
    recipe: str | None = None,
) -> None:
    """Go on with a failed, lost or killed job from its newest snapshot, as a new job."""
    check_job("resume", job)
    reading = reading_of(stack)
    from bootstrap.inventory.resolve import resolve
    from jobs.backends.registry import LIVY, Backends
    from jobs.run.resume import resumed

    document = reading.document()
    nodes = cache(lambda: resolve(document, console, wait=True))
    with Backends(document, nodes) as backends, TemporaryDirectory(prefix="caffe-spark-resume-") as folder:
        backend, spec, line = resumed(backends, job, Path(folder), executors=executors, iterations=iterations)
        print_line(console, f"resume   {line}")
        if backend.name == LIVY:
            _run_through_livy(backends, spec)
        else:
            _run_on(context, nodes(), spec, recipe, again="fab submit --spec FILE")


@task(
    help={
        "stack": STACK_HELP,
        "spec": "job specification with the executors and files of notebooks",
        "executors": "override the specification's executors",
        "recipe": RECIPE_HELP,
    }
)
@expected_errors_in_one_line
def notebook(
    context: Context,
    stack: str | None = None,
    spec: str = "jobs/specs/mnist.yaml",
    executors: int | None = None,
    recipe: str | None = None,
) -> None:
    """Serve notebooks with Spark and the Python API from the head."""
    job = specified(spec, executors, None)
    reading = reading_of(stack)
    from jobs import capacity
    from jobs.run.growth import room
    from jobs.run.notebook import require_servable, serve

    cluster = cluster_of(reading)
    require_servable(cluster, job)
    with room(cluster, job, console, lambda: check_ready(context, cluster, job, recipe)) as found:
        capacity.check(job, found.cluster)
        ready(context, found.cluster, job, recipe)
        serve(found.cluster, job, console, found.use)

"""The commands: each reads the stack's cluster, calls one library function and prints what it returns."""

from __future__ import annotations

import os
from pathlib import Path

from fabric import task
from invoke.context import Context
from invoke.exceptions import Exit

from bootstrap import script_actions
from bootstrap.cluster import AutoScalingGroup, Cluster
from bootstrap.console import STACK_HELP, console, expected_errors_in_one_line, print_whole
from bootstrap.doctor import diagnose
from bootstrap.engine.execute import apply
from bootstrap.errors import ConfigError
from bootstrap.framework import (
    Recipe,
    ensure_framework,
    for_cluster,
    load_recipe,
    require_devices,
    require_persisted,
)
from bootstrap.inventory.resolve import resolve, table
from bootstrap.inventory.stack import load_cluster
from bootstrap.script_actions.report import report
from infra.tasks import cost, preflight, sweep
from jobs import capacity
from jobs.backends.registry import LIVY, Backends
from jobs.datasets.prepare import ensure_data
from jobs.run.logs import show as show_log
from jobs.run.run import attach as follow_job
from jobs.run.run import kill as kill_job
from jobs.run.run import run_job
from jobs.run.status import status as job_status
from jobs.spec import JobSpec
from tools.environment import environment

__all__ = ["cost", "preflight", "sweep"]

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results"
RECIPE_HELP = "a file name in bootstrap/recipes, without .yaml; else the one that fabric.yaml names"


def cluster_of(stack: str | None, *, wait: bool = True) -> Cluster:
    """The cluster of a stack, read from its outputs; where workers come and go, with those of this moment."""
    return resolve(load_cluster(ROOT, stack, environment(ROOT, os.environ)), console, wait=wait)


def backends_of(stack: str | None) -> Backends:
    """The ways to run jobs on a stack's cluster; nodes are looked for by those that need them."""
    document = load_cluster(ROOT, stack, environment(ROOT, os.environ))
    return Backends(document, lambda: resolve(document, console, wait=False))


def chosen_recipe(context: Context, cluster: Cluster, name: str | None) -> Recipe:
    """The recipe named, else fabric.yaml's, with fabric.yaml's settings; refused before anything is done."""
    settings = context.config.framework
    recipe = load_recipe(name or settings.recipe, {"opencv": bool(settings.opencv)})
    require_devices(recipe, cluster)
    return for_cluster(recipe, cluster)


def _same(stack: str | None) -> str:
    """For a command to type next: the stack, where it was named and not selected."""
    return f" --stack {stack}" if stack else ""


@task(name="bootstrap", help={"stack": STACK_HELP, "dry_run": "print the plan and change nothing"})
@expected_errors_in_one_line
def bootstrap_nodes(_: Context, stack: str | None = None, dry_run: bool = False) -> None:
    """Bring every node to the state that the roles declare: hosts, Java, HDFS, Spark."""
    cluster = cluster_of(stack)
    apply(cluster, cluster.roles, dry_run=dry_run, console=console)
    if not dry_run:
        script_actions.catch_up(cluster, console)


@task(help={"stack": STACK_HELP, "recipe": RECIPE_HELP, "dry_run": "print the roles' plan, change nothing"})
@expected_errors_in_one_line
def build_headnode(
    context: Context, stack: str | None = None, recipe: str | None = None, dry_run: bool = False
) -> None:
    """Compile Caffe on the head node, push it to shared storage, spread it to every node."""
    cluster = cluster_of(stack)
    chosen = chosen_recipe(context, cluster, recipe)
    apply(cluster, cluster.roles, dry_run=dry_run, console=console)
    if not dry_run:
        ensure_framework(cluster, chosen, console=console)
        console.print(f"Next: `fab submit-mnist{_same(stack)}`")


@task(
    help={
        "stack": STACK_HELP,
        "spec": "job specification to run",
        "executors": "instead of the specification's",
        "iterations": "instead of the solver's max_iter",
        "recipe": RECIPE_HELP,
        "livy": "on HDInsight: through its job server, by HTTPS alone, with the framework that is there",
    }
)
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
    """Train on Spark, stream progress, bring back accuracy and features."""
    job = JobSpec.from_file(Path(spec) if Path(spec).exists() else ROOT / spec)
    job = job.with_overrides(executors=executors, iterations=iterations)
    if livy and recipe:
        raise ConfigError(
            f"--livy --recipe {recipe}",
            "Livy's jobs run on the framework that the cluster has",
            f"Run `fab build-headnode --recipe {recipe}{_same(stack)}`, then this without --recipe.",
        )
    if livy:
        with backends_of(stack) as backends:
            server = backends.get(LIVY)
            run_job(server, job, require_persisted(backends.document), console, RESULTS)
        return
    cluster = cluster_of(stack)
    capacity.check(job, cluster)
    chosen = chosen_recipe(context, cluster, recipe)
    apply(cluster, cluster.roles, console=console)
    framework = ensure_framework(cluster, chosen, console=console)
    ensure_data(cluster, job, console)
    with Backends.of(cluster) as backends:
        run_job(backends.default, job, framework.key, console, RESULTS)
    same = _same(stack)
    console.print(
        f"Next: `fab doctor{same}`, another `fab submit-mnist{same}`, or `pulumi destroy{same}`",
        soft_wrap=True,
    )


@task(positional=["job"], help={"job": "job id, as submit-mnist printed it", "stack": STACK_HELP})
@expected_errors_in_one_line
def attach(_: Context, job: str, stack: str | None = None) -> None:
    """Follow a job that was left running, and bring back its results."""
    with backends_of(stack) as backends:
        follow_job(backends, job, console, RESULTS)


@task(name="script-actions", help={"stack": STACK_HELP})
@expected_errors_in_one_line
def list_script_actions(_: Context, stack: str | None = None) -> None:
    """Which script actions have run on the cluster, how they ended, and which run on nodes that join."""
    print_whole(report(load_cluster(ROOT, stack, environment(ROOT, os.environ))))


@task(help={"stack": STACK_HELP})
@expected_errors_in_one_line
def status(_: Context, stack: str | None = None) -> None:
    """The jobs that the cluster runs and has run, and how far they are."""
    with backends_of(stack) as backends:
        print_whole(job_status(backends))


@task(
    positional=["job"],
    help={
        "job": "job id, as submit-mnist printed it",
        "executor": "that executor's log; else the driver's",
        "follow": "go on until the job ends",
        "stack": STACK_HELP,
    },
)
@expected_errors_in_one_line
def logs(
    _: Context, job: str, executor: int | None = None, follow: bool = False, stack: str | None = None
) -> None:
    """What a job's driver or one of its executors wrote, while it runs and after its end."""
    with backends_of(stack) as backends:
        show_log(backends, job, print, executor=executor, follow=follow)


@task(positional=["job"], help={"job": "job id, as submit-mnist printed it", "stack": STACK_HELP})
@expected_errors_in_one_line
def kill(_: Context, job: str, stack: str | None = None) -> None:
    """End a job that runs, with everything that it has started anywhere."""
    with backends_of(stack) as backends:
        kill_job(backends, job, console)


@task(help={"stack": STACK_HELP})
@expected_errors_in_one_line
def workers(_: Context, stack: str | None = None) -> None:
    """Who is in the cluster: how far each machine is, and what the cloud says where some are missing."""
    cluster = load_cluster(ROOT, stack, environment(ROOT, os.environ))
    if not isinstance(cluster.members, AutoScalingGroup):
        for node in cluster.nodes:
            console.print(f"{node.name:<8} {node.address}")
        return
    from bootstrap.inventory.autoscaling import look

    fleet = look(cluster, cluster.members)
    print_whole(table(fleet))
    for line in fleet.news:
        console.print(line, soft_wrap=True, highlight=False, markup=False)


@task(help={"stack": STACK_HELP})
@expected_errors_in_one_line
def doctor(_: Context, stack: str | None = None) -> None:
    """Check every node; one line to mend each thing that is wrong."""
    findings = diagnose(cluster_of(stack, wait=False), console)
    if any(not finding.ok for finding in findings):
        raise Exit(code=1)

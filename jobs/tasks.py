"""Fabric tasks of `jobs`: submission, notebooks, running and ended jobs, data sets, converters.

Modules are imported by the tasks that use them, as in `bootstrap.tasks`.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fabric import task
from invoke.context import Context
from invoke.exceptions import Exit

from bootstrap.arguments import help_if_asked
from bootstrap.console import (
    STACK_HELP,
    console,
    expected_errors_in_one_line,
    for_stack,
    print_line,
    print_piped,
    print_whole,
)
from bootstrap.errors import ConfigError
from bootstrap.tasks import RECIPE_HELP, chosen_recipe, cluster_of, provision, reading_of
from jobs.converters.flags import TOOLS
from tools.environment import ROOT, environment

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


def _check(task_name: str, job: str) -> None:
    """Print a task's help for `--help`; refuse what is not a job's id before the cluster is looked up."""
    from jobs.job import require_job_id

    help_if_asked(task_name, job)
    require_job_id(job)


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
    job = _specified(spec, executors, iterations)
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
    job = _specified(spec, executors, iterations)
    _submit(context, job, stack=stack, recipe=recipe, livy=livy, again="fab submit-mnist")


def _specified(spec: str, executors: int | None, iterations: int | None) -> JobSpec:
    """Read a specification, from this folder or else the project's, with values of the command line."""
    from jobs.spec_file import read_spec

    job = read_spec(Path(spec) if Path(spec).exists() else ROOT / spec)
    return job.with_overrides(executors=executors, iterations=iterations)


def _ready(context: Context, cluster: Cluster, job: JobSpec, recipe: str | None) -> Framework:
    """Provision a cluster and its framework, and get the job's data ready, in storage and here."""
    from bootstrap.ssh.kept import Kept
    from jobs.datasets.prepare import ensure_data, ensure_shipped

    with Kept() as kept:
        framework = provision(cluster, chosen_recipe(context, cluster, recipe), kept)
        ensure_data(cluster, job, console, kept.connect)
    ensure_shipped(job)
    return framework


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
    from jobs.run.run import run_job

    capacity.check(job, cluster)
    framework = _ready(context, cluster, job, recipe)
    with Backends.of(cluster) as backends:
        run_job(backends.default, job, framework.key, console, RESULTS)
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
    job = _specified(spec, executors, None)
    reading = reading_of(stack)
    from jobs import capacity
    from jobs.run.notebook import require_servable, serve

    cluster = cluster_of(reading)
    capacity.check(job, cluster)
    require_servable(cluster, job)
    _ready(context, cluster, job, recipe)
    serve(cluster, job, console)


@task(positional=["job"], help={"job": JOB_HELP, "stack": STACK_HELP})
@expected_errors_in_one_line
def attach(_: Context, job: str, stack: str | None = None) -> None:
    """Follow a job that was left running and fetch its results."""
    _check("attach", job)
    with backends_of(stack) as backends:
        from jobs.run.run import attach as attach_to

        attach_to(backends, job, console, RESULTS)


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
    _check("resume", job)
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


@task(help={"stack": STACK_HELP})
@expected_errors_in_one_line
def status(_: Context, stack: str | None = None) -> None:
    """List running and ended jobs with their progress."""
    with backends_of(stack) as backends:
        from jobs.run.status import status as status_table

        print_whole(status_table(backends))


@task(
    positional=["job"],
    help={
        "job": JOB_HELP,
        "executor": "show this executor's log instead of the driver's",
        "follow": "follow the log until the job ends",
        "stack": STACK_HELP,
    },
)
@expected_errors_in_one_line
def logs(
    _: Context, job: str, executor: int | None = None, follow: bool = False, stack: str | None = None
) -> None:
    """Show the log of a job's driver or of an executor."""
    _check("logs", job)
    with backends_of(stack) as backends:
        from jobs.run.logs import show

        show(backends, job, print_piped, executor=executor, follow=follow)


@task(
    positional=["job"],
    help={"job": JOB_HELP, "follow": "draw it again as the job runs, until it ends", "stack": STACK_HELP},
)
@expected_errors_in_one_line
def curve(_: Context, job: str, follow: bool = False, stack: str | None = None) -> None:
    """Draw the training curve of a running or ended job; print where it lies."""
    _check("curve", job)
    with backends_of(stack) as backends:
        from jobs.run.curve import draw

        draw(backends, job, console, RESULTS, follow=follow)


@task(positional=["job"], help={"job": JOB_HELP, "stack": STACK_HELP})
@expected_errors_in_one_line
def kill(_: Context, job: str, stack: str | None = None) -> None:
    """Kill a running job and all its processes."""
    _check("kill", job)
    with backends_of(stack) as backends:
        from jobs.run.run import kill as kill_job

        kill_job(backends, job, console, RESULTS)


@task(help={"dry_run": "list them, remove nothing", "stack": STACK_HELP})
@expected_errors_in_one_line
def clean(_: Context, dry_run: bool = False, stack: str | None = None) -> None:
    """Remove what ended jobs left on the nodes and in storage; print how many bytes."""
    reading = reading_of(stack)
    from jobs.run.clean import clean as remove

    remove(cluster_of(reading, wait=False), console, dry_run=dry_run)


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
    job = request.specification(_specified(spec, None, iterations), on_worker_lost=on_worker_lost)
    request.require_possible(plan, job)
    base = request.recorded(baseline, RESULTS, job) if baseline else None
    reading = reading_of(stack)
    from bootstrap.inventory.resolve import resolve
    from jobs import capacity
    from jobs.backends.registry import Backends
    from jobs.drill.run import Here, disturbed, undisturbed

    document = reading.document()
    request.require_local(document)
    cluster = resolve(document, console)
    capacity.check(job, cluster)
    framework = _ready(context, cluster, job, None).key
    here = Here(ROOT, environment(ROOT, os.environ), RESULTS, console)
    with Backends.of(cluster) as backends:
        base = base or undisturbed(backends.default, job, framework, here)
        if base is None:
            return
        judged = disturbed(backends.default, job, framework, plan, base=base, here=here)
    if not judged.passed:
        raise Exit(code=1)


_ACTIONS = {"put": ("PATH", "NAME"), "list": (), "show": ("NAME",)}
"""Actions of `fab data`, with the words that each takes."""


@task(
    positional=["action", "what", "name"],
    optional=["what", "name"],
    help={
        "action": "put PATH NAME: own data into shared storage; list: what is there; show NAME: its content",
        "what": "put: file or folder of this machine; show: name of the data",
        "name": "put: name by which specifications name it",
        "labels": "put: file of lines FILE LABEL, for images that are not in folders by class",
        "force": "put: replace other content of that name",
        "stack": STACK_HELP,
    },
)
@expected_errors_in_one_line
def data(  # noqa: PLR0917 - flags, which Fabric passes by name
    _: Context,
    action: str,
    what: str | None = None,
    name: str | None = None,
    labels: str | None = None,
    force: bool = False,
    stack: str | None = None,
) -> None:
    """Put own data into shared storage, list it, show what it holds."""
    help_if_asked("data", action)
    words = [word for word in (what, name) if word]
    _check_data(action, words, labels=labels, force=force)
    from jobs.datasets import own

    if action == "put":
        own.require_own(words[1])
    reading = reading_of(stack)
    from jobs.datasets import put as put_data
    from jobs.datasets import show as show_data

    cluster = cluster_of(reading, wait=False)
    if action == "put":
        put_data.put(cluster, words[0], words[1], console, labels=labels, force=force)
    elif action == "list":
        print_whole(show_data.table(cluster))
    else:
        show_data.show(cluster, words[0], console, RESULTS)


def _check_data(action: str, words: list[str], *, labels: str | None, force: bool) -> None:
    """Refuse a wrong action, wrong words after it, and flags that it does not take."""
    typed = " ".join(["fab data", action, *words])
    forms = ", ".join(f"`{' '.join(['fab data', name, *takes])}`" for name, takes in _ACTIONS.items())
    if action not in _ACTIONS:
        raise ConfigError(typed, f"{action!r} is not a valid action", f"Type one of {forms}.")
    takes = _ACTIONS[action]
    form = f"Type `{' '.join(['fab data', action, *takes])}`."
    if len(words) != len(takes):
        raise ConfigError(typed, f"{action} takes {' and '.join(takes) or 'no further words'}", form)
    if action != "put" and (labels or force):
        raise ConfigError(typed, f"{'--labels' if labels else '--force'} is for put alone", form)


@task(
    positional=["tool"],
    help={
        "tool": f"one of {', '.join(TOOLS)}",
        "image_root": "folder of the images, or the LMDB or frame to convert, in shared storage",
        "label_file": "file of lines FILE LABEL, for Binary2DataFrame FILE LABEL ID",
        "output": "what to write; it must not exist",
        "output_format": "of frames: json (default) or parquet",
        "lmdb_partitions": "parts in which an LMDB is read; default: by its size",
        "caption_file": "captions in COCO's format",
        "caption_length": "most words of a caption; default: 20",
        "vocab_size": "most words of the vocabulary; default: -1, all",
        "vocab_dir": "name of the vocabulary below the output; an existing one is used",
        "image_caption_df_dir": "name of the frame of images and captions below the output",
        "embedding_df_dir": "name of the frame of images and word ids below the output",
        "executors": "executors of Spark; default: one for each worker",
        "stack": STACK_HELP,
    },
)
@expected_errors_in_one_line
def convert(  # noqa: PLR0917 - flags, which Fabric passes by name
    _: Context,
    tool: str,
    image_root: str | None = None,
    label_file: str | None = None,
    output: str | None = None,
    output_format: str | None = None,
    lmdb_partitions: int | None = None,
    caption_file: str | None = None,
    caption_length: int | None = None,
    vocab_size: str | None = None,
    vocab_dir: str | None = None,
    image_caption_df_dir: str | None = None,
    embedding_df_dir: str | None = None,
    executors: int | None = None,
    stack: str | None = None,
) -> None:
    """Convert images, databases and captions in shared storage with one of CaffeOnSpark's tools."""
    help_if_asked("convert", tool)
    # Invoke gives texts.
    if executors is not None and not (str(executors).isdecimal() and int(executors) >= 1):
        raise ConfigError(f"--executors {executors}", "it is not a valid number", "Give at least 1.")
    flags = {
        "imageRoot": image_root,
        "labelFile": label_file,
        "output": output,
        "outputFormat": output_format,
        "lmdb_partitions": lmdb_partitions,
        "captionFile": caption_file,
        "captionLength": caption_length,
        "vocabSize": vocab_size,
        "vocabDir": vocab_dir,
        "imageCaptionDFDir": image_caption_df_dir,
        "embeddingDFDir": embedding_df_dir,
    }
    from jobs.run import convert as converting

    argv = converting.arguments(tool, flags)
    number = None if executors is None else int(executors)
    converting.convert(cluster_of(stack, wait=False), argv, console, executors=number)

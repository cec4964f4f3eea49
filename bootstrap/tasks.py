"""Fabric tasks of `bootstrap`: nodes, framework, script actions, checks.

Modules are imported by the tasks that use them, while the Pulumi CLI reads the stack: importing all of them
takes longer than reading the facts of every node.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fabric import task
from invoke.context import Context
from invoke.exceptions import Exit

from bootstrap import arguments
from bootstrap.console import (
    STACK_HELP,
    console,
    expected_errors_in_one_line,
    for_stack,
    print_line,
    print_whole,
)
from bootstrap.errors import ConfigError
from bootstrap.inventory.stack import Reading
from tools.environment import ROOT, environment

if TYPE_CHECKING:
    from bootstrap.cluster import Cluster, ClusterDocument
    from bootstrap.framework import Framework, Recipe
    from bootstrap.ssh.kept import Kept

arguments.install()
RECIPE_HELP = "recipe in bootstrap/recipes, without .yaml; default: fabric.yaml's"


def reading_of(stack: str | None) -> Reading:
    """Begin to read the declared cluster of a stack, from the stack's outputs."""
    return Reading(ROOT, stack, environment(ROOT, os.environ))


def document_of(stack: str | None) -> ClusterDocument:
    """Return the declared cluster of a stack."""
    return reading_of(stack).document()


def cluster_of(stack: str | Reading | None, *, wait: bool = True, stopped: bool = False) -> Cluster:
    """Return the cluster of a stack with its current nodes; `wait` for those that are starting.

    With `stopped`, workers that are stopped and do not come back by themselves are left out.
    """
    reading = stack if isinstance(stack, Reading) else reading_of(stack)
    from bootstrap.inventory.resolve import resolve

    return resolve(reading.document(), console, wait=wait, stopped=stopped)


def print_next(cluster: Cluster, stack: str | None) -> None:
    """Print the command that follows on a provisioned cluster."""
    if cluster.workers:
        console.print(for_stack("Next: `fab submit-mnist`", stack))
    else:
        console.print(for_stack("Next: `fab workers --resume`, which brings the workers back", stack))


def chosen_recipe(context: Context, cluster: Cluster, name: str | None) -> Recipe:
    """Return the named recipe, else fabric.yaml's, with fabric.yaml's settings.

    Raises:
        ConfigError: there is no such recipe, or it is for GPUs that the workers do not have.
    """
    from bootstrap.framework import AUTO, for_cluster, load_recipe, recipe_for, require_devices

    settings = context.config.framework
    name = name or settings.recipe
    if name == AUTO:
        name = recipe_for(cluster)
    recipe = load_recipe(name, {"opencv": bool(settings.opencv)})
    require_devices(recipe, cluster)
    return for_cluster(recipe, cluster)


def provision(cluster: Cluster, recipe: Recipe, kept: Kept) -> Framework:
    """Apply the roles to every node, and install the framework; a new head compiles it meanwhile."""
    from bootstrap.engine.execute import apply
    from bootstrap.framework import Search, early_build, ensure_framework

    search = Search(cluster, recipe, kept.connect)
    early = early_build(cluster, recipe, console)
    recap = apply(cluster, cluster.roles, console=console, connect=kept.connect, early=early)
    # What was found before a step changed a node may not be true after it.
    found = None if recap.changed else search.result()
    return ensure_framework(cluster, recipe, console=console, connect=kept.connect, found=found)


@task(name="bootstrap", help={"stack": STACK_HELP, "dry_run": "print the plan, change nothing"})
@expected_errors_in_one_line
def bootstrap_nodes(_: Context, stack: str | None = None, dry_run: bool = False) -> None:
    """Apply the roles to every node: hosts, Java, HDFS, Spark."""
    reading = reading_of(stack)
    from bootstrap import script_actions
    from bootstrap.engine.execute import apply

    cluster = cluster_of(reading, stopped=True)
    apply(cluster, cluster.roles, dry_run=dry_run, console=console)
    if not dry_run:
        script_actions.catch_up(cluster, console)


@task(help={"stack": STACK_HELP, "recipe": RECIPE_HELP, "dry_run": "print the roles' plan, change nothing"})
@expected_errors_in_one_line
def build_headnode(
    context: Context, stack: str | None = None, recipe: str | None = None, dry_run: bool = False
) -> None:
    """Compile Caffe on the head and install it on all nodes."""
    reading = reading_of(stack)
    from bootstrap.engine.execute import apply
    from bootstrap.ssh.kept import Kept

    # Workers that could not join for want of another framework wait for it.
    cluster = cluster_of(reading, stopped=True)
    chosen = chosen_recipe(context, cluster, recipe)
    if dry_run:
        apply(cluster, cluster.roles, dry_run=True, console=console)
        return
    with Kept() as kept:
        provision(cluster, chosen, kept)
    print_next(cluster, stack)


@task(name="script-actions", help={"stack": STACK_HELP})
@expected_errors_in_one_line
def list_script_actions(_: Context, stack: str | None = None) -> None:
    """List script actions with results, and the persisted ones."""
    from bootstrap.script_actions.report import report

    print_whole(report(document_of(stack)))


@task(help={"stack": STACK_HELP, "resume": "bring back stopped workers, also those that could not join"})
@expected_errors_in_one_line
def workers(_: Context, stack: str | None = None, resume: bool = False) -> None:
    """List nodes with their state, and why any are missing."""
    from bootstrap.cluster import AutoScalingGroup
    from bootstrap.inventory import spending

    cluster = document_of(stack)
    if not isinstance(cluster.members, AutoScalingGroup):
        if resume:
            raise ConfigError(
                f"fab workers --resume of stack {cluster.stack!r}",
                "only workers on AWS are stopped, and brought back",
                f"Run `fab workers --stack {cluster.stack}`, which lists its nodes.",
            )
        for node in cluster.nodes:
            console.print(f"{node.name:<8} {node.address}")
        for line in spending.lines(cluster):
            print_line(console, line)
        return
    # importing boto3 takes a third of a second
    from bootstrap.inventory.autoscaling import look
    from bootstrap.inventory.resolve import table

    fleet = look(cluster, cluster.members)
    if resume and fleet.desired_capacity == 0:
        brought = spending.bring_back(cluster, cluster.members, resume=True)
        print_line(console, f"workers  {brought.line}")
        fleet = look(cluster, cluster.members)
    elif resume:
        print_line(console, f"workers  they are not stopped: {fleet.desired_capacity} wanted")
    print_whole(table(fleet))
    for line in (*fleet.news, *spending.lines(cluster)):
        print_line(console, line)
    if cluster.cloud_logs:
        print_line(console, f"logs     in CloudWatch: `{cluster.cloud_logs.tail()}`")


@task(
    name="bake-image",
    help={
        "stack": STACK_HELP,
        "worker": "worker to make it of, as in `fab workers`; default: the first one without a running job",
        "remove": "remove the stack's images that are neither pinned nor used by new workers",
    },
)
@expected_errors_in_one_line
def bake_image(_: Context, stack: str | None = None, worker: str | None = None, remove: bool = False) -> None:
    """Make a worker image of a ready worker, for fast joins (AWS)."""
    if remove and worker is not None:
        raise ConfigError(
            f"--worker {worker}",
            "with --remove no image is made",
            "Leave out one of them: `fab bake-image --remove`, or `fab bake-image --worker NAME`.",
        )
    document = document_of(stack)
    from bootstrap.images import bake

    name = document.stack
    if remove:
        bake.remove(document, console, pinned=bake.pinned_image(ROOT, name))
        return

    def pin(made: str) -> None:
        bake.pin_image(ROOT, name, environment(ROOT, os.environ), made)

    bake.bake(document, console, pin=pin, worker=worker)


@task(help={"stack": STACK_HELP})
@expected_errors_in_one_line
def doctor(_: Context, stack: str | None = None) -> None:
    """Check every node; print a fix for each failed check."""
    reading = reading_of(stack)
    from bootstrap.doctor import diagnose
    from bootstrap.inventory import joining

    cluster = cluster_of(reading, wait=False, stopped=True)
    failing = joining.finding(cluster)
    findings = diagnose(cluster, console, also=[failing] if failing else [])
    if any(not finding.ok for finding in findings):
        raise Exit(code=1)


@task(
    positional=["node"],
    optional=["node"],
    help={
        "node": "node's name, as in `fab workers`; default: the head",
        "command": "command to run there instead of a shell; also after `--`",
        "stack": STACK_HELP,
    },
)
@expected_errors_in_one_line
def ssh(_: Context, node: str | None = None, command: str = "", stack: str | None = None) -> None:
    """Open a shell on a node, or run one command there."""
    arguments.help_if_asked("ssh", node)
    reading = reading_of(stack)
    from bootstrap.ssh.shell import shell

    cluster = cluster_of(reading, wait=False)
    code = shell(cluster, cluster.node(node) if node else cluster.head, command)
    if code:
        raise Exit(code=code)


@task(
    positional=["source", "to"],
    optional=["to"],
    help={
        "source": "NODE:/PATH, a URI of the stack's storage, or a name below the storage's root",
        "to": "path here; with a trailing slash: the folder for it; default: the current folder",
        "force": "replace other content that is there",
        "stack": STACK_HELP,
    },
)
@expected_errors_in_one_line
def get(
    _: Context, source: str, to: str | None = None, force: bool = False, stack: str | None = None
) -> None:
    """Copy a file or folder from a node or shared storage."""
    arguments.help_if_asked("get", source)
    reading = reading_of(stack)
    from bootstrap.transfer import transfer

    transfer.get(cluster_of(reading, wait=False), source, to or ".", console, force=force)


@task(
    positional=["file", "to"],
    help={
        "file": "file or folder of this machine",
        "to": "as the source of `fab get`; with a trailing slash: the folder for it",
        "force": "replace other content that is there",
        "stack": STACK_HELP,
    },
)
@expected_errors_in_one_line
def put(_: Context, file: str, to: str, force: bool = False, stack: str | None = None) -> None:
    """Copy a file or folder to a node or shared storage."""
    arguments.help_if_asked("put", file)
    reading = reading_of(stack)
    from bootstrap.transfer import transfer

    transfer.put(cluster_of(reading, wait=False), file, to, console, force=force)


@task(help={"stack": STACK_HELP})
@expected_errors_in_one_line
def ui(_: Context, stack: str | None = None) -> None:
    """Open Spark's, YARN's and the history server's pages here."""
    reading = reading_of(stack)
    from bootstrap.ui import serve

    serve(cluster_of(reading, wait=False), console)

"""Fabric tasks of `bootstrap`: nodes, the framework on them, script actions, checks."""

from __future__ import annotations

import os

from fabric import task
from invoke.context import Context
from invoke.exceptions import Exit

from bootstrap import script_actions
from bootstrap.cluster import AutoScalingGroup, Cluster, ClusterDocument
from bootstrap.console import STACK_HELP, console, expected_errors_in_one_line, print_line, print_whole
from bootstrap.doctor import diagnose
from bootstrap.engine.execute import apply
from bootstrap.framework import (
    Framework,
    Recipe,
    ensure_framework,
    for_cluster,
    load_recipe,
    require_devices,
)
from bootstrap.inventory.resolve import resolve, table
from bootstrap.inventory.stack import load_cluster
from bootstrap.script_actions.report import report
from tools.environment import ROOT, environment

RECIPE_HELP = "a file name in bootstrap/recipes, without .yaml; else the one that fabric.yaml names"


def document_of(stack: str | None) -> ClusterDocument:
    """Return the cluster of a stack as declared, from the stack's outputs."""
    return load_cluster(ROOT, stack, environment(ROOT, os.environ))


def cluster_of(stack: str | None, *, wait: bool = True) -> Cluster:
    """Return the cluster of a stack with the nodes of this moment; `wait` for those that are on their way."""
    return resolve(document_of(stack), console, wait=wait)


def chosen_recipe(context: Context, cluster: Cluster, name: str | None) -> Recipe:
    """Return the named recipe, else fabric.yaml's, with fabric.yaml's settings; changes nothing."""
    settings = context.config.framework
    recipe = load_recipe(name or settings.recipe, {"opencv": bool(settings.opencv)})
    require_devices(recipe, cluster)
    return for_cluster(recipe, cluster)


def provision(cluster: Cluster, recipe: Recipe) -> Framework:
    """Bring every node to the state that the roles declare, with the framework on it."""
    apply(cluster, cluster.roles, console=console)
    return ensure_framework(cluster, recipe, console=console)


def same_stack(stack: str | None) -> str:
    """Return the flag that a command to type next needs: the stack, where it was named and not selected."""
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
    if dry_run:
        apply(cluster, cluster.roles, dry_run=True, console=console)
        return
    provision(cluster, chosen)
    console.print(f"Next: `fab submit-mnist{same_stack(stack)}`")


@task(name="script-actions", help={"stack": STACK_HELP})
@expected_errors_in_one_line
def list_script_actions(_: Context, stack: str | None = None) -> None:
    """List the script actions that ran on the cluster, their results, and those that run on joining nodes."""
    print_whole(report(document_of(stack)))


@task(help={"stack": STACK_HELP})
@expected_errors_in_one_line
def workers(_: Context, stack: str | None = None) -> None:
    """List the cluster's machines: the state of each, and the cloud's reason where some are missing."""
    cluster = document_of(stack)
    if not isinstance(cluster.members, AutoScalingGroup):
        for node in cluster.nodes:
            console.print(f"{node.name:<8} {node.address}")
        return
    # boto3 takes a third of a second
    from bootstrap.inventory.autoscaling import look

    fleet = look(cluster, cluster.members)
    print_whole(table(fleet))
    for line in fleet.news:
        print_line(console, line)


@task(help={"stack": STACK_HELP})
@expected_errors_in_one_line
def doctor(_: Context, stack: str | None = None) -> None:
    """Check every node; one line to fix each thing that is wrong."""
    findings = diagnose(cluster_of(stack, wait=False), console)
    if any(not finding.ok for finding in findings):
        raise Exit(code=1)

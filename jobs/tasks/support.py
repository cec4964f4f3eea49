"""Fabric task of the support bundle, which takes from the operator's machine, the cloud, nodes and jobs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fabric import task
from invoke.context import Context

from bootstrap.console import STACK_HELP, console, expected_errors_in_one_line, print_line
from jobs.tasks.common import JOB_HELP, RESULTS, check_job
from tools.environment import ROOT, environment

if TYPE_CHECKING:
    from bootstrap.cluster import Cluster, ClusterDocument
    from bootstrap.support.bundle import Bundle


@task(
    name="support-bundle",
    help={"job": f"{JOB_HELP}; default: the newest", "stack": STACK_HELP},
)
@expected_errors_in_one_line
def support_bundle(_: Context, stack: str | None = None, job: str | None = None) -> None:
    """Pack logs and versions for a bug report, without secrets."""
    if job is not None:
        check_job("support-bundle", job)
    from bootstrap.inventory.stack import selected_stack
    from bootstrap.support import collect

    env = environment(ROOT, os.environ)
    name = stack or selected_stack(ROOT, env)
    with console.status("Collecting …"):
        bundle = collect.begin(ROOT, name, env)
        document = collect.document_of(bundle, ROOT, name, env)
        cluster = collect.nodes_of(bundle, document, console) if document else None
        if document:
            collect.add_cluster(bundle, document, cluster)
        add_jobs(bundle, document, cluster, job)
    path = RESULTS / f"support-{name}-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz"
    bundle.write(path)
    show(bundle, path)


def add_jobs(
    bundle: Bundle, document: ClusterDocument | None, cluster: Cluster | None, job: str | None
) -> None:
    """Add a job's evidence, from the cluster where that answers."""
    from bootstrap.errors import StackError
    from jobs.backends.registry import Backends
    from jobs.run.evidence import add_job, add_known_here

    if document is None:
        add_known_here(bundle, job, RESULTS)
        return

    def nodes() -> Cluster:
        if cluster is None:
            raise StackError(f"stack {document.stack!r}", "its nodes are not known", "See `nodes` above.")
        return cluster

    with Backends(document, nodes) as backends:
        add_job(bundle, backends, job, RESULTS)


def show(bundle: Bundle, path: Path) -> None:
    """Print the files of a bundle, what is missing, and to look before it is sent."""
    from bootstrap.support.collect import SECRETS

    for entry in bundle.entries:
        print_line(console, f"{entry.size:>9}  {entry.name}{'  (its end)' if entry.cut else ''}")
    for line in bundle.missing:
        print_line(console, f"missing    {line}")
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    print_line(console, f"\n{shown}  {path.stat().st_size} bytes, readable for you alone")
    unknown = any(line.startswith(f"{SECRETS}:") for line in bundle.missing)
    masked = (
        "The stack's secrets could not be read: only what looks like a credential is masked."
        if unknown
        else "The stack's secrets are masked, and what looks like a credential."
    )
    look = f"Names, addresses and account ids are not: look before you send it (`tar -xzOf {shown} | less`)."
    print_line(console, f"{masked} {look}")

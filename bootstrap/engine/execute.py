"""Apply roles to a cluster's nodes over SSH: read facts, skip what holds, run the rest; in parallel."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bootstrap.cluster import Cluster
from bootstrap.console import TerminalConsole
from bootstrap.engine import runlog
from bootstrap.engine.milestones import Milestones
from bootstrap.engine.node_run import Early, NodeRun, Shared
from bootstrap.engine.plan import make_plan, order
from bootstrap.engine.recap import Progress, Recap
from bootstrap.engine.role import ROLES_DIR, load_role
from bootstrap.errors import StepFailed
from bootstrap.ssh import remote as ssh
from bootstrap.ssh.on_all import OnAll
from bootstrap.ssh.remote import Connect

STOP_TIMEOUT = 20.0
"""Seconds for running steps to end after Ctrl-C."""


def apply(
    cluster: Cluster,
    roles: Sequence[str],
    *,
    given: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    console: Console | None = None,
    connect: Connect = ssh.connect,
    folder: Path = ROLES_DIR,
    logs: Path | None = None,
    early: Early | None = None,
) -> Recap:
    """Apply roles to all nodes of a cluster; skip steps whose guard holds.

    Each node runs the steps of a role in order, and roles that do not require each other at the same time, on
    its own connection. A node whose step fails starts no others; the other nodes finish. `given` overrides
    the roles' defaults; `folder` holds the roles, `logs` gets this run's full logs (default: see
    `bootstrap.engine.runlog.default_folder`); `early` is work on a new head, beside its steps.

    Raises:
        ConfigError: a role cannot be read or compiled; nothing has been done.
        StepFailed: on one or more nodes a step failed, or the node could not be reached.
        KeyboardInterrupt: the user stopped it; running steps are ended first.
    """
    console = console or TerminalConsole()
    begun = time.monotonic()
    given = dict(given or {})
    loaded = order([load_role(name, folder) for name in roles])
    plan = make_plan(loaded, cluster, given)
    logs = logs or runlog.default_folder()
    if not dry_run:
        console.print(f"Logs: {logs}", style="dim", soft_wrap=True, highlight=False)
    milestones = Milestones()
    with Progress(console, list(plan)) as progress:
        shared = Shared(cluster, loaded, given, dry_run, connect, milestones, progress, logs, early)
        runs = {node.name: NodeRun(shared, node, plan[node.name]) for node in cluster.nodes}
        work = OnAll(cluster.nodes, lambda node: runs[node.name].go())
        stopped = _wait(work, list(runs.values()), milestones)
    recap = Recap(tuple(run.recap for run in runs.values()), time.monotonic() - begun, dry_run)
    console.print(recap.table())
    if stopped:
        raise KeyboardInterrupt
    work.results()  # raises bugs
    _raise_failures(list(runs.values()))
    return recap


def _wait(work: OnAll[None], runs: Sequence[NodeRun], milestones: Milestones) -> bool:
    """Wait for the end of all nodes' runs; True when Ctrl-C ended them."""
    try:
        work.join()
    except KeyboardInterrupt:
        for run in runs:
            run.stop()
        milestones.end()
        for run in runs:
            run.kill()
        work.join(STOP_TIMEOUT)
        return True
    return False


def _raise_failures(runs: Sequence[NodeRun]) -> None:
    failures = [run.failure for run in runs if run.failure is not None]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise StepFailed(
            ", ".join(failure.given for failure in failures),
            f"{len(failures)} nodes failed; the first: {failures[0].why}",
            failures[0].fix,
        )

"""Apply roles to a cluster's nodes over SSH: read facts, skip what holds, run the rest; in parallel."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bootstrap.cluster import Cluster, Node
from bootstrap.console import TerminalConsole
from bootstrap.diagnosis import diagnose
from bootstrap.engine import facts, runlog, script
from bootstrap.engine.command import Command, Needs
from bootstrap.engine.milestones import Milestones
from bootstrap.engine.operations.shell import summary
from bootstrap.engine.plan import ASSUMED, first_pending, make_plan, order, plan_node
from bootstrap.engine.recap import NodeRecap, Outcome, Progress, Recap
from bootstrap.engine.role import ROLES_DIR, Role, load_role
from bootstrap.errors import CaffeSparkError, StepFailed
from bootstrap.ssh import remote as ssh
from bootstrap.ssh.on_all import OnAll
from bootstrap.ssh.remote import Remote
from bootstrap.storage.refusals import refusal

Connect = Callable[[Cluster, Node], AbstractContextManager[Remote]]

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
) -> Recap:
    """Apply roles to all nodes of a cluster; skip steps whose guard holds.

    Each node runs its steps in order, on its own thread and connection. A node whose step fails
    stops there; the others finish. `given` overrides the roles' defaults; `folder` holds the roles,
    `logs` gets this run's full logs (default: see `bootstrap.engine.runlog.default_folder`).

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
        shared = _Shared(cluster, loaded, given, dry_run, connect, milestones, progress, logs)
        runs = {node.name: _NodeRun(shared, node, plan[node.name]) for node in cluster.nodes}
        work = OnAll(cluster.nodes, lambda node: runs[node.name].go())
        stopped = _wait(work, list(runs.values()), milestones)
    recap = Recap(tuple(run.recap for run in runs.values()), time.monotonic() - begun, dry_run)
    console.print(recap.table())
    if stopped:
        raise KeyboardInterrupt
    work.results()  # raises bugs
    _raise_failures(list(runs.values()))
    return recap


def _wait(work: OnAll[None], runs: Sequence[_NodeRun], milestones: Milestones) -> bool:
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


def _raise_failures(runs: Sequence[_NodeRun]) -> None:
    failures = [run.failure for run in runs if run.failure is not None]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise StepFailed(
            ", ".join(failure.given for failure in failures),
            f"{len(failures)} nodes failed; the first: {failures[0].why}",
            failures[0].fix,
        )


@dataclass(frozen=True)
class _Shared:
    """State that all nodes of a run share."""

    cluster: Cluster
    roles: Sequence[Role]
    given: Mapping[str, Any]
    dry_run: bool
    connect: Connect
    milestones: Milestones
    progress: Progress
    logs: Path


class _NodeRun:
    """Run of one node's commands."""

    def __init__(self, shared: _Shared, node: Node, commands: list[Command]) -> None:
        self.shared, self.node, self.commands = shared, node, commands
        self.recap = NodeRecap(node.name)
        self.failure: StepFailed | None = None
        self._finished = False
        self._is_head = node.name == shared.cluster.head.name
        self._log = runlog.NodeLog(shared.logs, node.name)
        self._stopping = threading.Event()
        self._remote: Remote | None = None
        self._token = ""

    def go(self) -> None:
        """Run the node's commands; an expected failure is kept in `failure`."""
        begun = time.monotonic()
        try:
            with self.shared.connect(self.shared.cluster, self.node) as self._remote:
                self._apply(self._remote)
            self._finished = True
        except CaffeSparkError as error:
            self._fail(error)
        finally:
            if self._is_head:
                self.shared.milestones.end()
            r = self.recap
            r.seconds = time.monotonic() - begun
            r.skipped = max(0, len(self.commands) - r.ok - r.changed - r.failed)
            failed = self.failure is not None or not self._finished
            said = "failed" if failed else "stopped" if self._stopping.is_set() else "done"
            self.shared.progress.say(self.node.name, said, over=True)

    def stop(self) -> None:
        """Start no further steps."""
        self._stopping.set()

    def kill(self) -> None:
        """End the step that is running on the node."""
        if self._remote is not None and self._token:
            try:
                self._remote.run(script.kill(self._token), check=False, timeout=5)
            except CaffeSparkError:
                return  # the connection is gone; the step ends at its own time-out

    def _apply(self, remote: Remote) -> None:
        self.shared.progress.say(self.node.name, "reading facts")
        read = facts.read(remote, self.commands)
        facts_of_node = {"distribution": read.distribution, "arch": read.arch}
        if {**facts_of_node, **self.shared.given} != {**ASSUMED, **self.shared.given}:
            self.commands = plan_node(
                self.shared.roles, self.shared.cluster, self.node, {**facts_of_node, **self.shared.given}
            )
            read = facts.read(remote, self.commands)
        if self._is_head:
            first = first_pending(self.commands, read.held)
            self.shared.milestones.begin((c.role, c.name) for c in self.commands[:first])
        if self.shared.dry_run:
            self.recap.ok = sum(read.held)
            self.recap.changed = len(read.held) - self.recap.ok
            pending = [c for c, held in zip(self.commands, read.held, strict=True) if not held]
            self.shared.progress.would_change(self.node.name, pending)
            return
        # The head may be about to change what a step takes from it, so a guard that held may fail later.
        unsettled = [
            c.needs is not None and not self.shared.milestones.is_settled(c.needs) for c in self.commands
        ]
        first = first_pending(self.commands, read.held, unsettled)
        self.recap.ok = first
        for number, command in enumerate(self.commands[first:], start=first + 1):
            if self._stopping.is_set() or not self._step(remote, command, number):
                return

    def _step(self, remote: Remote, command: Command, number: int) -> bool:
        """Run one step; False when the node stops here."""
        title = f"{command.role}: {command.name}"
        total, name = len(self.commands), self.node.name
        if command.needs is not None and not self.shared.milestones.is_done(command.needs):
            what = f"{command.needs[0]}: {command.needs[1]}"
            self.shared.progress.say(
                name, f"{title} (waits for the head's {what})", number=number, total=total
            )
            if not self.shared.milestones.wait(command.needs):
                if not self._stopping.is_set():
                    self._failed_step(command, f"the head did not get through its step {what!r}", 0.0)
                return False
        self.shared.progress.say(name, title, number=number, total=total)
        self._log.begin(command)
        begun = time.monotonic()
        self._token = f"{os.getpid()}-{time.time_ns()}"
        try:
            result = remote.run(
                script.step(command, self._token),
                check=False,
                # The node itself ends a step that runs too long; this is for a node that stopped responding.
                timeout=command.timeout + script.LOCK_WAIT + 2 * script.KILL_GRACE,
                on_line=lambda line: self._output(command, line),
            )
        finally:
            self._token = ""
        seconds = time.monotonic() - begun
        outcome = _outcome(result)
        self._log.end(outcome, seconds)
        if outcome == "failed":
            if not self._stopping.is_set():
                self._failed_step(command, _why(result.exit_code, command), seconds)
            return False
        setattr(self.recap, outcome, getattr(self.recap, outcome) + 1)
        self.shared.progress.ended(name, command, outcome, seconds)
        if self._is_head:
            self.shared.milestones.reach(_key(command))
        return True

    def _output(self, command: Command, line: str) -> None:
        if line not in (script.HELD, script.CHANGED):
            self._log.line(command.masked(line))

    def _failed_step(self, command: Command, why: str, seconds: float) -> None:
        self.recap.failed += 1
        title = f"role {command.role!r}, step {command.name!r}: {why}"
        again = "Fix the cause, then rerun the command: it continues from this step."
        tail = list(self._log.tail) if seconds else []
        reason = tail[-1].strip() if tail else ""
        # A known reason is more specific than the last line of output.
        known = self._known("\n".join(tail))
        if known is not None:
            reason, again = known
        shown = summary(command.masked(command.run))
        where = f"Full log: {self._log.path}. " if self._log.path.exists() else ""
        self.shared.progress.ended(self.node.name, command, "failed", seconds)
        self.shared.progress.failed(self.node.name, title, shown, tail, where + again)
        last = f" ({reason})" if tail else ""
        self.failure = StepFailed(
            f"{self.node.name}, role {command.role!r}, step {command.name!r}", why + last, where + again
        )

    def _known(self, said: str) -> tuple[str, str] | None:
        """Return the reason and remedy of a failure that is known: one of shared storage, or of the table."""
        storage = self.shared.cluster.shared_storage
        refused = refusal(storage, said) if storage in said else None
        if refused is not None:
            return f"{storage}: {refused.why}", refused.fix
        found = diagnose(said, stack=self.shared.cluster.stack, node=self.node.name)
        return None if found is None else (found.why, found.fix)

    def _fail(self, error: CaffeSparkError) -> None:
        """Record a node that could not be reached, or was lost during the run."""
        self.recap.failed += 1
        self.shared.progress.failed(self.node.name, error.why, "", [], error.fix)
        self.failure = StepFailed(error.given, error.why, error.fix)


def _key(command: Command) -> Needs:
    return command.role, command.name


def _outcome(result: ssh.Result) -> Outcome:
    last = result.stdout.rstrip().rpartition("\n")[2]
    if result.ok and last == script.HELD:
        return "ok"
    return "changed" if result.ok and last == script.CHANGED else "failed"


def _why(exit_code: int, command: Command) -> str:
    match exit_code:
        case ssh.TIMED_OUT:
            return f"it ran past its time-out of {command.timeout:g} s"
        case script.KILLED:
            return f"it was killed: out of memory, or {script.KILL_GRACE} s past its {command.timeout:g} s"
        case script.NOT_REACHED:
            return "it ran, and the node is still not in the desired state"
        case script.LOCK_BUSY:
            return f"another run has been busy on this node for {script.LOCK_WAIT} s"
        case _:
            return f"status {exit_code}"

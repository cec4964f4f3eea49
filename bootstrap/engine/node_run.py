"""Run of one node's steps: facts, then roles that do not require each other at the same time."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.cluster import Cluster, Node
from bootstrap.diagnosis import diagnose
from bootstrap.engine import facts, runlog, script
from bootstrap.engine.command import Command, Needs
from bootstrap.engine.lanes import Lane, lanes
from bootstrap.engine.milestones import Milestones
from bootstrap.engine.operations.shell import summary
from bootstrap.engine.plan import ASSUMED, plan_node
from bootstrap.engine.recap import NodeRecap, Outcome, Progress
from bootstrap.engine.role import Role
from bootstrap.errors import CaffeSparkError, StepFailed
from bootstrap.ssh import remote as ssh
from bootstrap.ssh.remote import Connect, Remote
from bootstrap.storage.refusals import refusal


@dataclass(frozen=True)
class Early:
    """Work on a new head beside its steps, once its packages are installed."""

    new: Needs
    """A step of the head that only a new cluster has to run."""
    work: Callable[[Remote], None]


@dataclass(frozen=True)
class Shared:
    """State that all nodes of a run share."""

    cluster: Cluster
    roles: Sequence[Role]
    given: Mapping[str, Any]
    dry_run: bool
    connect: Connect
    milestones: Milestones
    progress: Progress
    logs: Path
    early: Early | None = None


class NodeRun:
    """Run of one node's commands."""

    def __init__(self, shared: Shared, node: Node, commands: list[Command]) -> None:
        self.shared, self.node, self.commands = shared, node, commands
        self.recap = NodeRecap(node.name)
        self.failure: StepFailed | None = None
        self._finished = False
        self._is_head = node.name == shared.cluster.head.name
        self._log = runlog.NodeLog(shared.logs, node.name)
        self._stopping, self._broken = threading.Event(), threading.Event()
        self._remote: Remote | None = None
        self._lock = threading.Lock()
        self._doing: dict[str, str] = {}
        """What each lane does now."""
        self._tokens: set[str] = set()
        """Of the steps that run now."""

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
        """End the steps that are running on the node."""
        with self._lock:
            tokens = list(self._tokens)
        for token in tokens:
            try:
                if self._remote is not None:
                    self._remote.run(script.kill(token), check=False, timeout=5)
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
            settled = lanes(self.commands, self.shared.roles, read.held)
            self.shared.milestones.begin(
                (c.role, c.name) for lane in settled for c in lane.commands[: lane.first]
            )
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
        found = lanes(self.commands, self.shared.roles, read.held, unsettled)
        self.recap.ok = sum(lane.first for lane in found)
        early = self._early(remote, found, read.held)
        self._run_lanes(remote, [lane for lane in found if lane.pending], early)

    def _early(self, remote: Remote, found: Sequence[Lane], held: Sequence[bool]) -> _Countdown | None:
        """Return what starts the early work, where there is some, once the last package is installed."""
        early = self.shared.early
        holding = {_key(c) for c, holds in zip(self.commands, held, strict=True) if holds}
        if early is None or not self._is_head or early.new in holding:
            return None
        installs = {_key(c) for lane in found for c in lane.commands[lane.first :] if c.installs}
        return _Countdown(installs, lambda: early.work(remote))

    def _run_lanes(self, remote: Remote, pending: Sequence[Lane], early: _Countdown | None) -> None:
        """Run the lanes at the same time, each after those that it comes after, and the early work beside.

        Raises:
            CaffeSparkError: the connection broke.
        """
        through = {lane.role: threading.Event() for lane in pending}
        errors: list[BaseException] = []

        def run(lane: Lane) -> None:
            try:
                for role in lane.after:
                    if role in through:
                        through[role].wait()
                for command in lane.commands[lane.first :]:
                    if self._over or not self._step(remote, command):
                        return
                    if early is not None:
                        early.done(_key(command))
            except BaseException as error:  # raised by the node's own thread
                errors.append(error)
                self._broken.set()
            finally:
                through[lane.role].set()

        threads = [threading.Thread(target=run, args=(lane,), daemon=True) for lane in pending]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if early is not None:
            early.join()
        if errors:
            raise errors[0]

    @property
    def _over(self) -> bool:
        """True when no further step is to start: the user stopped the run, or a step of this node failed."""
        return self._stopping.is_set() or self._broken.is_set()

    def _say(self, command: Command, what: str = "") -> None:
        """Show what the lanes do; nothing more of this command's where `what` is empty."""
        with self._lock:
            self._doing.pop(command.role, None)
            if what:
                self._doing[command.role] = what
            if self._doing:
                number = self.recap.ok + self.recap.changed + self.recap.failed + 1
                text = "; ".join(self._doing.values())
                self.shared.progress.say(self.node.name, text, number=number, total=len(self.commands))

    def _step(self, remote: Remote, command: Command) -> bool:
        """Run one step; False when the node stops here."""
        title = f"{command.role}: {command.name}"
        if command.needs is not None and not self.shared.milestones.is_done(command.needs):
            what = f"{command.needs[0]}: {command.needs[1]}"
            self._say(command, f"{title} (waits for the head's {what})")
            if not self.shared.milestones.wait(command.needs):
                if not self._over:
                    self._failed_step(command, f"the head did not get through its step {what!r}", 0.0)
                return False
            if self._over:
                return False
        self._say(command, title)
        log = self._log.begin(command)
        begun = time.monotonic()
        token = f"{os.getpid()}-{secrets.token_hex(8)}"
        with self._lock:
            self._tokens.add(token)
        try:
            result = remote.run(
                script.step(command, token),
                check=False,
                # The node itself ends a step that runs too long; this is for a node that stopped responding.
                timeout=command.timeout + 2 * script.LOCK_WAIT + 2 * script.KILL_GRACE,
                on_line=lambda line: _output(log, command, line),
            )
        finally:
            with self._lock:
                self._tokens.discard(token)
        seconds = time.monotonic() - begun
        outcome = _outcome(result)
        log.end(outcome, seconds)
        if outcome == "failed":
            if not self._stopping.is_set():
                self._failed_step(command, _why(result.exit_code, command), seconds, list(log.tail))
            return False
        with self._lock:
            setattr(self.recap, outcome, getattr(self.recap, outcome) + 1)
        self.shared.progress.ended(self.node.name, command, outcome, seconds)
        self._say(command)
        if self._is_head:
            self.shared.milestones.reach(_key(command))
        return True

    def _failed_step(self, command: Command, why: str, seconds: float, tail: Sequence[str] = ()) -> None:
        self._broken.set()
        with self._lock:
            self.recap.failed += 1
        title = f"role {command.role!r}, step {command.name!r}: {why}"
        again = "Fix the cause, then rerun the command: it continues from this step."
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
        given = f"{self.node.name}, role {command.role!r}, step {command.name!r}"
        # Of steps that fail at the same time, the first one's.
        self.failure = self.failure or StepFailed(given, why + last, where + again)

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
        self.failure = self.failure or StepFailed(error.given, error.why, error.fix)


class _Countdown:
    """Work that starts on a thread of its own when the last of some steps is done."""

    def __init__(self, steps: set[Needs], work: Callable[[], None]) -> None:
        self._left, self._work = set(steps), work
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def done(self, step: Needs) -> None:
        """Note that a step is done."""
        with self._lock:
            self._left.discard(step)
            if not self._left and self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def join(self) -> None:
        """Wait until the work has ended, if it has been started."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        # It only saves time: who does the same work later meets the same failure, and tells it.
        with suppress(CaffeSparkError):
            self._work()


def _output(log: runlog.StepLog, command: Command, line: str) -> None:
    if line not in (script.HELD, script.CHANGED):
        log.line(command.masked(line))


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

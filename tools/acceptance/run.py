"""The run: steps in order under one time limit, and a teardown whatever happens."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tools.acceptance import plan
from tools.acceptance.limits import file_of
from tools.acceptance.plan import MINUTE, Cloud, Step
from tools.acceptance.steps import NOT_RUN, Outcome, Runner, say

PASSED: Final = 0
FAILED: Final = 1
"""A step failed; the stack is gone."""
REFUSED: Final = 2
"""Nothing was created."""
LEFT: Final = 3
"""Something may be left in the account."""
ATTEMPTS: Final = 3
"""To destroy the stack."""
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Run:
    """What a run has done so far."""

    cloud: Cloud
    minutes: int
    secrets_provider: str = ""
    """Of the stack's secrets, in a shared state; empty for a passphrase."""
    outcomes: list[Outcome] = field(default_factory=list)
    interrupted: bool = False
    overdue: bool = False
    left: str = ""
    """What may be left; empty if the sweep found nothing."""

    @property
    def code(self) -> int:
        """Exit status."""
        if self.left:
            return LEFT
        good = all(outcome.ok for outcome in self.outcomes) and not self.interrupted and not self.overdue
        return PASSED if good else FAILED

    @property
    def shown(self) -> list[str]:
        """Rows of the document that the run has shown: all steps that name them have run, and succeeded."""
        bad = {outcome.step.name for outcome in self.outcomes if not outcome.ok}
        good = {outcome.step.name for outcome in self.outcomes} - bad
        needed: dict[str, set[str]] = {}
        for step in plan.counted(self.cloud):
            for row in step.rows:
                needed.setdefault(row, set()).add(step.name)
        return [row for row, names in needed.items() if names <= good]


@contextmanager
def signals(runner: Runner, run: Run) -> Iterator[None]:
    """Let signals end the current step, and nothing of the teardown."""

    def note(number: int, _: object) -> None:
        if not run.interrupted:
            say(f"\n{signal.Signals(number).name}: the run ends; what it created is destroyed first.")
        else:
            say("\nThe teardown goes on; without it, machines would stay and bill.")
        run.interrupted = True
        runner.stop.set()

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def accept(run: Run, runner: Runner, root: Path, *, check: Callable[[], object], unit: float = MINUTE) -> int:
    """Run everything, and return the exit status; `check` compares the cap with the prices that were fetched.

    Raises:
        ConfigError: the cap is too low; nothing was created.
    """
    stack = file_of(root, run.cloud.stack)
    with signals(runner, run):
        try:
            first, second = plan.before(run.cloud)
            if _go(run, runner, first, float("inf")):
                check()
            if not (run.outcomes[-1].ok and _go(run, runner, second, float("inf"))) or run.interrupted:
                return REFUSED
            perform(run, runner, unit=unit)
        finally:
            if not run.left:
                stack.unlink(missing_ok=True)
    return run.code


def perform(run: Run, runner: Runner, *, unit: float = MINUTE) -> None:
    """Run the steps that create something, and tear that down, whatever happens to them."""
    deadline = time.monotonic() + run.minutes * unit
    try:
        if _go(run, runner, plan.init(run.cloud, run.secrets_provider), deadline):
            _main(run, runner, deadline)
    finally:
        # Also after an exception of our own: the account comes first.
        if _may_exist(run):
            tear_down(run, runner)


def _may_exist(run: Run) -> bool:
    """Return whether the stack may have a state: one that `init` refused is somebody else's."""
    inits = [outcome for outcome in run.outcomes if outcome.step.name == "init"]
    return not inits or not inits[-1].why.startswith(("status", NOT_RUN))


def _main(run: Run, runner: Runner, deadline: float) -> None:
    for step in plan.steps(run.cloud):
        if run.interrupted:
            return
        if time.monotonic() >= deadline:
            run.overdue = True
            return
        if not _go(run, runner, step, deadline) and not step.goes_on:
            break
    if not all(outcome.ok for outcome in run.outcomes) and not run.interrupted:
        # While the machines are there; for the report, and so of no consequence for the outcome.
        run.outcomes.append(runner.run(plan.evidence(run.cloud)))


def _go(run: Run, runner: Runner, step: Step, deadline: float) -> bool:
    outcome = runner.run(step, until=deadline)
    run.outcomes.append(outcome)
    if not outcome.ok and time.monotonic() >= deadline:
        run.overdue = True
    return outcome.ok


def tear_down(run: Run, runner: Runner) -> None:
    """Destroy the stack, with further attempts, search for leftovers, and remove the stack's state."""
    destroyed, run.left = False, "the teardown did not end"
    for attempt in range(ATTEMPTS):
        for step in plan.destroy(run.cloud, again=attempt > 0):
            outcome = runner.run(step, whole=True)
            run.outcomes.append(outcome)
            destroyed = outcome.ok
        if destroyed:
            break
    swept = runner.run(plan.sweep(run.cloud), whole=True)
    run.outcomes.append(swept)
    if not destroyed:
        run.left = f"`pulumi destroy` failed {ATTEMPTS} times"
    elif not swept.ok:
        run.left = "`fab sweep` found something, or could not search everywhere"
    else:
        run.left = ""
        run.outcomes.append(runner.run(plan.remove(run.cloud), whole=True))


def log_folder(root: Path, cloud: Cloud, now: float) -> Path:
    """Return the folder of a run's logs and report."""
    return root / "results" / f"{cloud.stack}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}"

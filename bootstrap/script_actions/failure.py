"""Errors of script actions that did not succeed on every host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bootstrap.errors import StepFailed
from bootstrap.script_actions.action import Execution, HostOutcome

TOLD: Final = 3
"""Failed hosts to name; the others are counted."""


class ScriptActionFailed(StepFailed):
    """A script action did not succeed on every host; `execution` has the outcomes, where they are known."""

    def __init__(self, given: str, why: str, fix: str, execution: Execution | None = None) -> None:
        super().__init__(given, why, fix)
        self.execution = execution


def failure(
    what: str, execution: Execution, expected: Sequence[str], said: str, where: str
) -> ScriptActionFailed:
    """Return the error: successes, failed hosts with their last output, hosts not reached. Pure.

    `expected`: hosts that it should have reached; `said`: the cluster's own message; `where`: where logs are.
    """
    bad = [host for host in execution.hosts if not host.ok]
    total = max(len(expected), len(execution.hosts))
    parts = [f"it succeeded on {len(execution.hosts) - len(bad)} of {total} hosts"]
    parts += [_line(host) for host in bad[:TOLD]]
    if bad[TOLD:]:
        parts.append(f"and {len(bad[TOLD:])} more failed")
    if execution.missing:
        reached = {host.host for host in execution.hosts}
        names = [name for name in expected if name not in reached]
        named = f" ({', '.join(names)})" if len(names) == execution.missing else ""
        parts.append(f"it did not reach {execution.missing}{named}")
    if said and len(parts) == 1:
        parts.append(said)
    fix = f"{where} Fix the cause, then rerun the command."
    return ScriptActionFailed(what, "; ".join(parts), fix, execution)


def _line(host: HostOutcome) -> str:
    status = "it was lost, or never answered" if host.exit_code is None else f"status {host.exit_code}"
    said = f": {' | '.join(host.said.splitlines())}" if host.said else ""
    log = f" (all of it in {host.log} there)" if host.log else ""
    return f"{host.host}: {status}{said}{log}"

"""Report of an acceptance run: what was run, what that shows, what it may have left."""

from __future__ import annotations

import shlex
import subprocess
import time
from decimal import Decimal
from pathlib import Path

from tools.acceptance.run import FAILED, LEFT, PASSED, Run

_VERDICTS = {
    PASSED: "passed",
    FAILED: "**failed**",
    LEFT: "**failed, and something may be left in the account**",
}


def report(run: Run, root: Path, *, now: float, cap: Decimal | None, most: Decimal | None) -> str:
    """Return the report, in Markdown."""
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    lines = [
        f"# Acceptance on {run.cloud.title}, {date}",
        "",
        f"Verdict: {_VERDICTS.get(run.code, 'refused')}. Stack `{run.cloud.stack}`, commit {commit(root)}, "
        f"time limit {run.minutes} min"
        + (f", price cap {cap} USD" if cap is not None else "")
        + (f" (at most {most:.2f} USD by the estimate)" if most is not None else "")
        + ".",
        "",
        "| step | outcome | took | command | log |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {outcome.step.name} | {outcome.why or 'succeeded'} | {outcome.seconds / 60:.1f} min "
        f"| `{shlex.join(outcome.step.command)}` | {outcome.log.name} |"
        for outcome in run.outcomes
    ]
    lines.append("")
    if run.interrupted:
        lines += ["The run was interrupted, and torn down.", ""]
    if run.overdue:
        lines += [f"The run reached its limit of {run.minutes} min, and was torn down.", ""]
    lines += left(run)
    if spent := spending(run):
        lines += ["As the head accounts for it:", "", *(f"    {line}" for line in spent), ""]
    lines += [f"## Rows of {run.cloud.document}", ""]
    if run.shown:
        lines += [f"These may say `run on {date}`:", "", *(f"- {row}" for row in run.shown)]
    else:
        lines.append("The run raises none.")
    return "\n".join(lines) + "\n"


def left(run: Run) -> list[str]:
    """Return the lines about what may be left."""
    if not run.left:
        return (
            ["`fab sweep` found nothing left.", ""]
            if any(one.step.name == "sweep" for one in run.outcomes)
            else []
        )
    return [
        f"**Something may be left: {run.left}.** It bills until it is gone:",
        "",
        f"    make acceptance-{run.cloud.name} ARGS=--destroy",
        "    fab sweep",
        "",
    ]


def spending(run: Run) -> list[str]:
    """Return the lines of `fab workers` about what was spent."""
    outputs = [outcome.output for outcome in run.outcomes if outcome.step.name == "spent" and outcome.ok]
    return [line for line in "".join(outputs[-1:]).splitlines() if line.startswith(("spent", "budget"))]


def commit(root: Path) -> str:
    """Return the commit of the checkout, with `-dirty` where files differ from it."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"

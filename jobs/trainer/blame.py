"""Why a stage failed, in one line: which rank on which host, the reason, and what to go on from."""

from __future__ import annotations

import re
from typing import Optional

from jobs.trainer.errors import TrainerError
from jobs.trainer.journal import Journal

_LOST = re.compile(r"\(TID \d+\) \(([^ ]+) executor \d+\): ExecutorLostFailure")
_REASON = re.compile(r"ExecutorLostFailure \(executor (\d+) [^)]*\) Reason: (.+)")
_CALLING = "An error occurred while calling"
"""py4j's own first line; Java's words follow."""
_PYTHON_ERROR = re.compile(r"[A-Za-z_][\w.]*: \S")


def explain(error: Exception, journal: Journal) -> TrainerError:
    """One line for a failed stage. What the ranks said themselves goes before what Spark says of them."""
    resume = "Run the job again."
    if journal.snapshot:
        resume = "Go on from iteration {} with -snapshot {} -weights {}".format(
            journal.snapshot["iteration"], journal.snapshot["state"], journal.snapshot["weights"]
        )
    cause = journal.cause()
    if cause is None:
        lost = lost_executor(str(error))
        reason = _REASON.search(str(error))
        if reason and not lost:
            number = reason.group(1)
            lost = "executor {} on {}".format(number, journal.placed.get(number, "?"))
        if lost:
            why = "it was lost at iteration {}".format(journal.iteration)
            return TrainerError(lost, "{}: {}".format(why, reason.group(2)) if reason else why, resume)
        return TrainerError("the stage", innermost(str(error)), resume)
    if cause.get("kind") == "peer":
        # Everyone who could speak has lost somebody: who has not spoken is the one.
        silent = sorted(set(journal.hosts) - {event["rank"] for event in journal.failures})
        if silent:
            where = ", ".join("rank {} on {}".format(rank, journal.hosts[rank]) for rank in silent)
            why = "its executor was lost at about iteration {}: killed, or its node went down".format(
                journal.iteration
            )
            return TrainerError(where, why, resume)
    return TrainerError("rank {} on {}".format(cause["rank"], cause["host"]), cause["message"], resume)


def lost_executor(message: str) -> Optional[str]:
    """The host in Spark's words about a lost executor; None when it speaks of something else."""
    found = _LOST.search(message)
    return "the executor on {}".format(found.group(1)) if found else None


def innermost(text: str) -> str:
    """The error at the end of the first Python traceback in Spark's message, or the message's first line."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith(_CALLING):
        lines = [lines[1].lstrip(": "), *lines[2:]]
    traces = [index for index, line in enumerate(lines) if line.lstrip().startswith("Traceback")]
    for line in lines[traces[0] + 1 :] if traces else []:
        # Frames are indented; the error is not.
        if _PYTHON_ERROR.match(line):
            return line
    return lines[0].strip() if lines else "it failed without a word"

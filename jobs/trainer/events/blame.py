"""Cause of a failed stage: the rank or executor that failed first, and the snapshot to resume from.

Ranks report through the driver's channel, Spark through its exception and its list of executors, and the
two race. A rank that lost a peer was alive after the loss, so it is never the cause, whatever happens to it
later. A lost executor takes precedence over a rank that died without a message: Spark itself kills the other
tasks of a barrier stage.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set

from jobs.trainer.contract import NATIVE, OWN, PEER, SILENT, RankFailed, WorkersLost
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.journal import Journal

_LOST = re.compile(r"\(TID \d+\) \(([^ ]+) executor (\d+)\): ExecutorLostFailure")
_REASON = re.compile(r"ExecutorLostFailure \(executor (\d+) [^)]*\)(?: Reason: (.+))?")
_BARRIER_TASK = re.compile(r"barrier task \w+Task\(\d+, (\d+)\) finished unsuccessfully")
_CALLING = "An error occurred while calling"
"""First line of py4j's message; Java's message follows."""
_SILENCE = re.compile(r" while (?P<doing>[^:]+): nothing for (?P<seconds>\S+) s$")
"""End of a peer's report of a rank whose host answers, and which itself does not."""
_PYTHON_ERROR = re.compile(r"[A-Za-z_][\w.]*: \S")
DIVERGED = "training-diverged"
"""A failure of the job and of no rank in particular: all have the same weights."""
UNKNOWN = "killed, or its node went down"


LOSSES = (
    *("executor-lost", "rank-lost", "rank-hung", "ranks-disconnected"),
    *("executors-missing", "executors-failing"),
)
"""Failures of executors and of the network: another attempt may go through.

The last two are those of a stage for which executors were there until it began.
"""


class LostExecutor(NamedTuple):
    """An executor that Spark has lost; `host` is Spark's name of it, empty where the text has none."""

    number: str
    host: str
    reason: str


def settled(error: Exception, journal: Journal, removed: Sequence[LostExecutor]) -> bool:
    """Return whether further reports could not change the cause."""
    spoken = {failure.rank for failure in journal.failures}
    return (
        _first(journal, OWN, NATIVE) is not None
        or journal.silence.hung is not None
        or lost_executor(str(error), removed) is not None
        or (bool(spoken) and spoken >= set(journal.ranks))
    )


def explain(
    error: Exception,
    journal: Journal,
    removed: Sequence[LostExecutor] = (),
    resume: Optional[Dict[str, Any]] = None,
) -> TrainerError:
    """Return the failure of a stage.

    Args:
        error: as Spark raised it.
        journal: the reports of the ranks.
        removed: executors that Spark has lost since the stage began, the first one first.
        resume: fields that say how to go on; None: those of the journal's last snapshot.
    """
    if resume is None:
        resume = journal.snapshot.resume() if journal.snapshot else {}
    own = _first(journal, OWN, NATIVE)
    if own is not None and own.code == DIVERGED:
        return TrainerError("training-diverged", **{**own.fields, **resume})
    if own is not None:
        cause = {"cause": {"code": own.code, "fields": own.fields}} if own.code else {}
        return TrainerError("rank-failed", rank=own.rank, host=own.host, reason=own.reason, **cause, **resume)
    hung = journal.silence.hung
    if hung is not None:
        # The driver has ended the stage for it: what ranks report then are consequences.
        return TrainerError(
            "rank-hung",
            ranks=_listed([hung.rank], journal),
            host=journal.ranks[hung.rank].host,
            iteration=journal.iteration,
            doing=hung.doing,
            seconds="{:.0f}".format(hung.seconds),
            **resume,
        )
    return executor_lost(error, journal, removed, resume) or _without_executor(str(error), journal, resume)


def executor_lost(
    error: BaseException,
    journal: Journal,
    removed: Sequence[LostExecutor],
    resume: Optional[Dict[str, Any]] = None,
) -> Optional[TrainerError]:
    """Return the loss of an executor that Spark's exception, or its list, tells of; None without one."""
    lost = lost_executor(str(error), removed)
    if lost is None:
        return None
    return TrainerError(
        "executor-lost",
        executor=lost.number,
        host=_host(lost, journal),
        iteration=journal.iteration,
        reason=lost.reason or UNKNOWN,
        **(resume or {}),
    )


def is_loss(failure: TrainerError, journal: Journal) -> bool:
    """Return whether a failure is one of executors, and none of the job.

    A process that died without a word was killed; a rank that has said why would say so again.
    """
    if failure.code != "rank-failed":
        return failure.code in LOSSES
    return any(one.origin == SILENT and one.rank == failure.fields["rank"] for one in journal.failures)


def hosts(failure: TrainerError, journal: Journal) -> List[str]:
    """Return the hosts that a failure names, as far as they are known."""
    named = failure.fields.get("host")
    if named:
        return [str(named)]
    peers = {one.rank for one in journal.failures}
    return sorted({rank.host for number, rank in journal.ranks.items() if number not in peers})


def workers_lost(failure: TrainerError, journal: Journal, iteration: int) -> WorkersLost:
    """Return the event of a loss, at an iteration, after which the job goes on."""
    return WorkersLost(iteration, hosts(failure, journal), failure.code, failure.fields, failure.why)


def _without_executor(text: str, journal: Journal, resume: Dict[str, Any]) -> TrainerError:
    peers = {failure.rank for failure in journal.failures if failure.origin == PEER}
    died = [failure for failure in journal.failures if failure.origin == SILENT and failure.rank not in peers]
    unheard = sorted(set(journal.ranks) - {failure.rank for failure in journal.failures})
    named = _BARRIER_TASK.search(text)
    if named and int(named.group(1)) in unheard:
        died, unheard = [], [int(named.group(1))]
    elif named and died:
        died = [failure for failure in died if failure.rank == int(named.group(1))] or died
    if died:
        return TrainerError(
            "rank-failed", rank=died[0].rank, host=died[0].host, reason=died[0].reason, **resume
        )
    silences = (_SILENCE.search(one.reason) for one in journal.failures if one.origin == PEER)
    silent = next((one for one in silences if one), None)
    if unheard and silent:
        ranks, iteration = _listed(unheard, journal), journal.iteration
        return TrainerError("rank-hung", ranks=ranks, iteration=iteration, **silent.groupdict(), **resume)
    if unheard and (journal.failures or named):
        return TrainerError(
            "rank-lost", ranks=_listed(unheard, journal), iteration=journal.iteration, **resume
        )
    if peers:
        reason = next(failure.reason for failure in journal.failures if failure.origin == PEER)
        return TrainerError("ranks-disconnected", ranks=_listed(peers, journal), reason=reason, **resume)
    return TrainerError("stage-failed", reason=innermost(text), **resume)


def lost_executor(text: str, removed: Sequence[LostExecutor]) -> Optional[LostExecutor]:
    """Return the executor that Spark has lost, by its exception or else its list; None without one."""
    reason = _REASON.search(text)
    place = _LOST.search(text)
    if reason or place:
        number = reason.group(1) if reason else place.group(2)  # type: ignore[union-attr]
        listed = next((one for one in removed if one.number == number), LostExecutor(number, "", ""))
        why = (reason.group(2) if reason else "") or listed.reason
        return LostExecutor(number, place.group(1) if place else listed.host, " ".join(why.split()))
    return removed[0] if removed else None


def innermost(text: str) -> str:
    """Return the error that the first Python traceback in Spark's message ends with, else its first line."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith(_CALLING):
        lines = [lines[1].lstrip(": "), *lines[2:]]
    traces = [index for index, line in enumerate(lines) if line.lstrip().startswith("Traceback")]
    for line in lines[traces[0] + 1 :] if traces else []:
        # Frames are indented; the error is not.
        if _PYTHON_ERROR.match(line):
            return line
    return lines[0].strip() if lines else "it failed without a message"


def _first(journal: Journal, *origins: str) -> Optional[RankFailed]:
    return next((failure for failure in journal.failures if failure.origin in origins), None)


def _host(lost: LostExecutor, journal: Journal) -> str:
    """Return the node's own name if a rank reported it, else Spark's name of the host."""
    host = journal.placed.get(lost.number, "") or lost.host
    names: Set[str] = {rank.host for rank in journal.ranks.values() if host and rank.address == host}
    return names.pop() if len(names) == 1 else host or "an unknown host"


def _listed(ranks: Any, journal: Journal) -> str:  # noqa: ANN401 - any collection of ranks
    named: List[str] = ["rank {} on {}".format(rank, journal.ranks[rank].host) for rank in sorted(ranks)]
    return ", ".join(named)

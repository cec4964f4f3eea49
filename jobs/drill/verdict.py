"""Verdict on a drill, from the job's events and the drill's marks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from jobs.drill.record import ANNOUNCED, CUT, TAKEN, Plan, Record
from jobs.trainer import contract
from jobs.trainer.contract import Event

TOLERANCE: Final = 0.003
"""Accuracy that an interruption may cost: 0.3 points."""
STARTS: Final = {"notice": ANNOUNCED, "no-notice": TAKEN, "partition": CUT}
"""Mark by which each kind of interruption begins."""

AnEvent = TypeVar("AnEvent", bound=Event)


@dataclass(frozen=True)
class Check:
    """A condition of the verdict; `held` is None where the drill did not come to it."""

    name: str
    held: bool | None
    found: str


@dataclass(frozen=True)
class Verdict:
    """Figures of a drill, in seconds and iterations; None where there is none."""

    heard_s: float | None = None
    """From the notice to the trainer that has read it."""
    snapshot_s: float | None = None
    """From the notice to a whole snapshot in shared storage."""
    lost_iterations: int | None = None
    """Iterations that were done again, over all recoveries."""
    again_s: float | None = None
    """From the loss to the first iteration beyond the snapshot."""
    full_s: float | None = None
    """From the loss to the first iteration with as many executors as the specification has."""
    recoveries: int = 0
    accuracy: float | None = None
    baseline: float | None = None
    checks: tuple[Check, ...] = ()

    @property
    def passed(self) -> bool:
        """True if no condition is broken, and the drill took place."""
        return bool(self.checks) and all(check.held is not False for check in self.checks)


def verdict(plan: Plan, record: Record, *, accuracy: float | None, baseline: float | None) -> Verdict:
    """Judge a drill; `accuracy` is the disturbed job's, `baseline` the undisturbed one's."""
    start = record.first(STARTS[plan.kind])
    finished = Check("the job finished", _last(record.events, contract.Done) is not None, _end(record.events))
    if start is None:
        why = "the job ended before: give it more iterations"
        return Verdict(accuracy=accuracy, baseline=baseline, checks=(finished, Check("nodes", False, why)))
    # By the order of writing, which is the driver's; its clock is this machine's.
    since = next((n for n, event in enumerate(record.events) if event.time >= start.time), len(record.events))
    after = record.events[since:]
    heard = _first(after, contract.Interruption)
    told = _behind(after, heard)
    snapshot = _resumed(told)
    loss = _first(_training(after), contract.WorkersLost)
    begun = loss.time if loss and plan.kind == "notice" else start.time if loss else None
    again, full = _again(_behind(after, loss)) if loss else (None, None)
    lost, newest = redone(record.events, since)
    recoveries = len([event for event in after if isinstance(event, contract.Recovery)])
    by_notice = plan.kind == "notice"
    checks = (
        finished,
        *([_saved(plan, record, snapshot)] if by_notice else []),
        Check("training went on", again is not None, _went_on(loss, again)),
        Check("no iteration lost", lost == 0, f"{lost} done again")
        if by_notice and recoveries
        else Check("from the newest snapshot", newest if recoveries else None, f"{lost} done again"),
        _accurate(accuracy, baseline),
    )
    return Verdict(
        heard_s=_between(start.time, heard) if by_notice else None,
        snapshot_s=_between(start.time, snapshot) if by_notice else None,
        lost_iterations=lost if recoveries else None,
        again_s=_between(begun, again),
        full_s=_between(begun, full),
        recoveries=recoveries,
        accuracy=accuracy,
        baseline=baseline,
        checks=checks,
    )


def redone(events: Sequence[Event], since: int) -> tuple[int, bool]:
    """Return the iterations done again by recoveries from that place on, and whether all began at the newest
    snapshot.

    The trainer counts them; reports of progress that say more count more.
    """
    reached = snapshot = lost = 0
    newest = True
    for place, event in enumerate(events):
        if isinstance(event, contract.Progress | contract.WorkersLost):
            reached = max(reached, event.iteration)
        elif isinstance(event, contract.Snapshot):
            snapshot = event.iteration
        elif isinstance(event, contract.Recovery):
            if place >= since:
                lost += max(event.lost_iterations, reached - event.iteration, 0)
                newest = newest and event.iteration >= snapshot
            reached = event.iteration
    return lost, newest


def _training(events: Sequence[Event]) -> Sequence[Event]:
    """Return the events up to the end of training; executors may be lost while the job scores, too."""
    end = next((n for n, event in enumerate(events) if isinstance(event, contract.Trained)), len(events))
    return events[:end]


def _again(events: Sequence[Event]) -> tuple[Event | None, Event | None]:
    """Return the first progress of any recovery, and of one with all executors."""
    again: Event | None = None
    recovery: contract.Recovery | None = None
    for event in events:
        if isinstance(event, contract.WorkersLost):
            recovery = None
        elif isinstance(event, contract.Recovery):
            recovery = event
        elif (
            recovery is not None
            and isinstance(event, contract.Progress)
            and event.iteration > recovery.iteration
        ):
            again = again or event
            if recovery.wanted and recovery.executors >= recovery.wanted:
                return again, event
    return again, None


def _resumed(events: Sequence[Event]) -> contract.Snapshot | None:
    """Return the snapshot that the next recovery goes on from; without one, the next that is whole.

    Not simply the next: an earlier one may still be on its way to storage when a notice comes.
    """
    recovery = _first(events, contract.Recovery)
    snapshots = (event for event in events if isinstance(event, contract.Snapshot))
    return next((one for one in snapshots if recovery is None or one.iteration == recovery.iteration), None)


def _saved(plan: Plan, record: Record, snapshot: contract.Snapshot | None) -> Check:
    name = "a snapshot before the node was taken"
    start, taken = record.first(ANNOUNCED), record.first(TAKEN)
    end = taken.time if taken else start.time + plan.notice_s if start else 0.0
    if snapshot is None:
        return Check(name, False, "none after the notice")
    left = end - snapshot.time
    return Check(name, left >= 0, f"{abs(left):.1f} s {'before' if left >= 0 else 'after'}")


def _went_on(loss: Event | None, again: Event | None) -> str:
    if loss is None:
        return "it lost no executor: give the job more iterations"
    return "yes" if again is not None else "no progress after the loss"


def _accurate(accuracy: float | None, baseline: float | None) -> Check:
    name = f"accuracy within {100 * TOLERANCE:.1f} points"
    if accuracy is None or baseline is None:
        return Check(name, None, "not compared")
    # In millionths: accuracies are ratios of thousands of samples.
    held = round(baseline - accuracy, 6) <= TOLERANCE
    return Check(name, held, f"{100 * (accuracy - baseline):+.2f} points")


def _end(events: Sequence[Event]) -> str:
    failed = _last(events, contract.Failed)
    if failed is not None:
        return f"no: {failed.message or failed.code}"
    return "yes" if _last(events, contract.Done) else "no"


def _first(events: Sequence[Event], kind: type[AnEvent]) -> AnEvent | None:
    return next((event for event in events if isinstance(event, kind)), None)


def _last(events: Sequence[Event], kind: type[AnEvent]) -> AnEvent | None:
    return next((event for event in reversed(events) if isinstance(event, kind)), None)


def _behind(events: Sequence[Event], event: Event | None) -> Sequence[Event]:
    """Return the events after this one, by identity: equal ones may be written again."""
    return next((events[n + 1 :] for n, one in enumerate(events) if one is event), ())


def _between(start: float | None, end: Event | None) -> float | None:
    return None if start is None or end is None else round(end.time - start, 3)

"""Timeline of a drill: moments in order, throughput over time, and timeline.json with their sources."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from bootstrap.aside import replacing
from jobs.drill import record as marks
from jobs.drill.record import Plan, Record
from jobs.drill.verdict import Verdict
from jobs.trainer import contract
from jobs.trainer.contract import Event

FILE: Final = "timeline.json"
VERSION: Final = 1
WINDOW_S: Final = 2.0
"""Seconds, at least, that a throughput is a mean of."""

_WORDS: Final = {
    marks.ANNOUNCED: "notice: the metadata tells of the interruption (simulated)",
    marks.READ: "its service has read the notice",
    marks.LEAVING: "it tells executors, and takes no new ones",
    marks.LEFT: "its executors have ended, its worker has stopped",
    marks.COMPLETED: "it has completed its lifecycle action (simulated)",
    marks.TAKEN: "taken away: all its processes killed",
    marks.CUT: "cut off the network",
    marks.HEALED: "connected again",
    marks.REPLACING: "a replacement is being made",
    marks.REPLACED: "the replacement is up",
}


class Moment(NamedTuple):
    """A line of the timeline; `kind` is a mark's or an event's."""

    time: float
    kind: str
    where: str
    text: str


class Rate(NamedTuple):
    """Images per second of all ranks, over the seconds up to `time`; 0 where training stands still."""

    time: float
    images_per_s: float


@dataclass(frozen=True)
class Facts:
    """A drill as it was asked for."""

    stack: str
    job: str
    plan: Plan
    nodes: tuple[str, ...]
    executors: int
    on_worker_lost: str
    baseline: str = ""
    """Job that ran undisturbed."""


def moments(record: Record) -> list[Moment]:
    """Return the marks and the events that tell the drill, by time; snapshots, from the last before it."""
    found = [Moment(mark.time, mark.kind, mark.node, _WORDS[mark.kind]) for mark in record.marks]
    found += [moment for moment in map(_moment, record.events) if moment is not None]
    found.sort(key=lambda moment: moment.time)
    begun = next((n for n, moment in enumerate(found) if moment.kind in _WORDS), len(found))
    before = [n for n, moment in enumerate(found[:begun]) if moment.kind == contract.Snapshot.kind][-1:]
    return [
        moment
        for n, moment in enumerate(found)
        if n >= begun or n in before or moment.kind != contract.Snapshot.kind
    ]


def _moment(event: Event) -> Moment | None:
    where, text = "", ""
    if isinstance(event, contract.Phase):
        text = f"phase {event.phase}"
    elif isinstance(event, contract.Training):
        text = f"training, {event.ranks} ranks" + (" from a snapshot" if event.snapshot else "")
    elif isinstance(event, contract.Interruption):
        where, text = event.host, f"training has heard: {event.why}"
    elif isinstance(event, contract.Snapshot):
        text = f"snapshot of iteration {event.iteration}"
    elif isinstance(event, contract.WorkersLost):
        where, text = ", ".join(event.hosts), f"training stops at iteration {event.iteration}"
        text += f": {event.reason}" if event.reason else ""
    elif isinstance(event, contract.Recovery):
        text = f"goes on from iteration {event.iteration}, {event.executors} of {event.wanted} executors"
        text += f" ({event.rule})" if event.rule else ""
    elif isinstance(event, contract.Trained):
        text = f"trained: {event.iterations} iterations"
    elif isinstance(event, contract.Failed):
        text = f"failed: {event.message or event.code}"
    elif isinstance(event, contract.Done):
        text = "done"
    return Moment(event.time, event.kind, where, text) if text else None


def rates(events: Iterable[Event]) -> list[Rate]:
    """Return the throughput over time, from the reports of progress; each attempt counts its own images."""
    found = list[Rate]()
    begun: contract.Progress | None = None
    latest: contract.Progress | None = None
    for event in events:
        if isinstance(event, contract.WorkersLost | contract.Recovery | contract.Training | contract.Trained):
            if begun is not None and latest is not None:
                found += [*_rate(begun, latest), Rate(event.time, 0.0)]
            begun = latest = None
        elif not isinstance(event, contract.Progress):
            continue
        elif begun is None or latest is None or event.iteration < latest.iteration:
            if begun is not None and latest is not None:
                found += _rate(begun, latest)
            begun = latest = event
            found.append(Rate(event.time, 0.0))
        else:
            latest = event
            if latest.time - begun.time >= WINDOW_S:
                found += _rate(begun, latest)
                begun = latest
    return found + (_rate(begun, latest) if begun is not None and latest is not None else [])


def _rate(begun: contract.Progress, latest: contract.Progress) -> list[Rate]:
    """Return the mean between two reports, by the clock on the wall; none where no time lies between them."""
    seconds = latest.time - begun.time
    images = latest.images_per_s * latest.seconds - begun.images_per_s * begun.seconds
    return [Rate(latest.time, round(max(images, 0.0) / seconds, 1))] if seconds > 0 else []


def write(folder: Path, facts: Facts, record: Record, judged: Verdict) -> Path:
    """Write timeline.json; return its path."""
    document: dict[str, Any] = {
        "version": VERSION,
        "simulated": "instance metadata, lifecycle actions, and the group: see docs/recovery.md",
        "drill": asdict(facts),
        "verdict": {**asdict(judged), "passed": judged.passed, "cost": 0},
        "timeline": [moment._asdict() for moment in moments(record)],
        "throughput": rates(record.events),
        "marks": [asdict(mark) for mark in record.marks],
        "events": [json.loads(contract.dump(event)) for event in record.events],
    }
    path = folder / FILE
    with replacing(path) as new:
        new.write_text(json.dumps(contract.jsonable(document), indent=1) + "\n")
    return path

"""Recordings of drills: events as trainers write them, by the second, and the drill's marks."""

from __future__ import annotations

from jobs.drill import record as marks
from jobs.drill.record import Mark, Record
from jobs.trainer import contract
from jobs.trainer.contract import Event, stamped

BEGAN = 1_795_978_500.0
"""The time of second 0."""
BATCH = 64


def at(second: float, event: Event) -> Event:
    return stamped(event, BEGAN + second)


def mark(second: float, kind: str, node: str = "w2") -> Mark:
    return Mark(BEGAN + second, kind, node)


def progress(start: float, end: float, iteration: int, *, per_s: int = 20, ranks: int = 2) -> list[Event]:
    """Two reports a second, of an attempt that begins with this iteration."""
    found: list[Event] = []
    for half in range(round(2 * (end - start)) + 1):
        seconds = half / 2
        rate = float(per_s * BATCH * ranks) if half else 0.0
        reached = iteration + round(per_s * seconds)
        found.append(at(start + seconds, contract.Progress(reached, 10_000, 0.1, rate, seconds)))
    return found


def snapshot(second: float, iteration: int) -> Event:
    return at(
        second, contract.Snapshot(iteration, 10_000, f"hdfs:///m_{iteration}", f"hdfs:///s_{iteration}")
    )


def in_order(*parts: Event | list[Event]) -> list[Event]:
    """All events by time, as they are written."""
    flat = [event for part in parts for event in (part if isinstance(part, list) else [part])]
    return sorted(flat, key=lambda event: event.time)


def by_notice() -> Record:
    """Two executors; a notice at 30 s for w2, which is taken at 60 s and is back at 100 s.

    A snapshot of iteration 600 is on its way when the notice comes, and whole just after training has heard.
    """
    events = in_order(
        at(0, contract.Phase("train")),
        at(0, contract.Training(2)),
        progress(0, 33, 0),
        snapshot(10.5, 200),
        snapshot(32.6, 600),
        at(32.5, contract.Interruption("w2", "reclaimed", BEGAN + 60)),
        snapshot(34.5, 660),
        at(35, contract.WorkersLost(660, ["w2"])),
        at(38, contract.Recovery(2, 660, 1, 2, 0, 3.0, "iter_size 2", ["w1"])),
        progress(39, 110, 660, per_s=10, ranks=1),
        snapshot(109.8, 1370),
        at(112, contract.Recovery(3, 1370, 2, 2, 0, 2.0, "", ["w1", "w2"])),
        progress(113, 150, 1370),
        at(151, contract.Trained(2110)),
        at(160, contract.Done(160)),
    )
    told = [
        mark(30, marks.ANNOUNCED),
        mark(31, marks.READ),
        mark(31.1, marks.LEAVING),
        mark(40, marks.LEFT),
        mark(40.2, marks.COMPLETED),
        mark(60, marks.TAKEN),
        mark(60.1, marks.REPLACING),
        mark(100, marks.REPLACED),
    ]
    return Record(events, told)


def without_notice(*, resumed: int = 600, lost: int = 50) -> Record:
    """w2 is killed at 33 s; training goes on with both again, from 60 s on."""
    events = in_order(
        progress(0, 32.5, 0),
        snapshot(10.5, 200),
        snapshot(31, 600),
        at(45, contract.WorkersLost(650, ["w2"], "executor-lost", {"executor": "1"}, "killed")),
        at(60, contract.Recovery(2, resumed, 2, 2, lost, 15.0, "", ["w1", "w2"])),
        progress(61, 90, resumed),
        at(100, contract.Done(100)),
    )
    return Record(events, [mark(33, marks.TAKEN), mark(33.1, marks.REPLACING), mark(58, marks.REPLACED)])

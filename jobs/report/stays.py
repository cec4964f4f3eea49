"""Stays of a job's workers, and the time that it lost with some of them, from its events. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Final

from jobs.report.history import History
from jobs.trainer import contract
from jobs.trainer.contract import Event

_TRAINING: Final = (contract.Training, contract.Recovery)
"""Events at which the iterations begin that a report of progress counts."""


@dataclass(frozen=True)
class Stay:
    """A worker's time in a job, in seconds since the epoch."""

    host: str
    begin: float
    end: float
    sure: bool = True
    """False where only a loss without notice tells the end: the machine may have stayed."""

    @property
    def seconds(self) -> float:
        """Length of the stay."""
        return max(0.0, self.end - self.begin)


@dataclass(frozen=True)
class Losses:
    """Workers that a job lost, and what that took."""

    interruptions: int = 0
    """Workers that were taken or lost."""
    announced: int = 0
    """Those of them that the cloud had announced."""
    iterations: int = 0
    """Iterations that were done again."""
    seconds: float | None = 0.0
    """Seconds that these iterations had taken, and scoring that was begun again; None if a pace is not
    known."""
    waiting_seconds: float = 0.0
    """Seconds without training: from each loss until training went on, and while it stopped to grow."""


def stays(history: History, begin: float, end: float, names: Mapping[str, str] | None = None) -> list[Stay]:
    """Return the stays of a job's workers, in order of their beginning.

    A worker counts from `begin` if it was there when the job's executors first registered, else from when
    training went on with it; until it was taken, or lost without coming back. One that was announced to be
    taken ends at the time that its cloud has named. `names` are addresses and the names of their nodes.
    """
    known = {**(names or {}), **{rank.address: rank.host for rank in history.all(contract.RankStarted)}}
    desk = _Desk(begin, {address: host for address, host in known.items() if address})
    for event in history.events:
        desk.see(event)
    return desk.closed(end)


@dataclass
class _Desk:
    """Workers that are in the job, and those that have left it."""

    begin: float
    names: Mapping[str, str]
    scoring: bool = False
    here: dict[str, float] = field(default_factory=dict)
    left: list[Stay] = field(default_factory=list)
    notices: dict[str, contract.Interruption] = field(default_factory=dict)
    last: dict[str, tuple[Stay, contract.Interruption | None]] = field(default_factory=dict)
    """Last stay of each worker that has left, and the notice before that."""

    def see(self, event: Event) -> None:
        if isinstance(event, contract.Executors):
            # Later ones list also what training does without: `Recovery` names what it goes on with.
            first = not (self.here or self.left)
            listed = History([event]).executors.values() if first or self.scoring else ()
            for host in {where["host"] for where in listed}:
                self._enter(host, self.begin if first else event.time)
        elif isinstance(event, contract.Phase):
            self.scoring = event.phase == "score"
        elif isinstance(event, contract.Recovery):
            for host in event.hosts:
                self._enter(host, event.time)
        elif isinstance(event, contract.Interruption):
            self.notices[self._name(event.host)] = event
        elif isinstance(event, contract.WorkersLost):
            for host in event.hosts:
                self._leave(self._name(host), event.time)

    def closed(self, end: float) -> list[Stay]:
        for host, notice in list(self.notices.items()):
            if notice.at and notice.at < end:
                self._leave(host, notice.at)
        every = [*self.left, *(Stay(host, since, end) for host, since in self.here.items())]
        cut = [replace(one, end=min(one.end, end)) for one in every]
        return sorted(cut, key=lambda one: (one.begin, one.host))

    def _name(self, host: str) -> str:
        named = self.names.get(host, host)
        # Full names where nodes are in a domain; the dots of an address are no domain.
        return named if named.replace(".", "").isdecimal() else named.partition(".")[0]

    def _enter(self, given: str, time: float) -> None:
        host = self._name(given)
        if not host or host in self.here:
            return
        before, notice = self.last.pop(host, (None, None))
        if before is None or (notice is not None and time >= before.end):
            self.here[host] = time
            return
        # It was hidden by a partition, or its executor had died, or it is about to be taken and serves until
        # then: the machine was there all the time.
        self.left.remove(before)
        self.here[host] = before.begin
        if notice is not None:
            self.notices[host] = notice

    def _leave(self, host: str, time: float) -> None:
        notice = self.notices.pop(host, None)
        if host not in self.here:
            return
        end = max(time, notice.at) if notice and notice.at else time
        stay = Stay(host, self.here.pop(host), end, sure=notice is not None)
        self.left.append(stay)
        self.last[host] = stay, notice


def losses(history: History, end: float) -> Losses:
    """Return what a job lost with its workers; `end` is the job's, in seconds since the epoch."""
    found = _Count()
    for number, event in enumerate(history.events):
        if isinstance(event, contract.Interruption):
            found.announced.add(event.host)
        elif isinstance(event, contract.WorkersLost):
            found.lost(event)
        elif isinstance(event, contract.Phase):
            found.phase(event, history.events[number - 1].time if number else 0.0)
        elif isinstance(event, contract.Training):
            found.trains(event)
        elif isinstance(event, contract.Recovery):
            found.recovered(event, _pace(history.events[:number]))
    waiting = found.waiting + (max(0.0, end - found.since) if found.since else 0.0)
    # Announced ones that no loss has followed yet were taken after training's end, or will be.
    announced = found.told + len(found.announced)
    return Losses(
        interruptions=announced + found.untold,
        announced=announced,
        iterations=found.iterations,
        seconds=None if found.seconds is None else round(found.seconds, 3),
        waiting_seconds=round(waiting, 3),
    )


@dataclass
class _Count:
    """Running sums of `losses`."""

    announced: set[str] = field(default_factory=set)
    """Hosts announced since the last loss."""
    told: int = 0
    untold: int = 0
    iterations: int = 0
    seconds: float | None = 0.0
    waiting: float = 0.0
    since: float = 0.0
    """Time of the loss that training has not recovered from; 0 without one."""
    began: bool = False
    """A driver has begun."""
    scoring: float = 0.0
    """Time at which scoring began, or began again; 0 before."""

    def phase(self, event: contract.Phase, before: float) -> None:
        """Take the beginning of a phase; `before` is the time of the event before it."""
        if event.phase == "start" and before and self.began:
            # A driver that begins again: the one before it was lost after its last event.
            if self.scoring:
                self._add(max(0.0, before - self.scoring))
            self.since = self.since or before
            self.untold += 1
        self.began = self.began or event.phase == "start"
        self.scoring = event.time if event.phase == "score" else 0.0
        if self.scoring:
            self.trains(event)

    def trains(self, event: Event) -> None:
        """End the time of waiting: work goes on."""
        if self.since:
            self.waiting += max(0.0, event.time - self.since)
            self.since = 0.0

    def lost(self, event: contract.WorkersLost) -> None:
        if self.scoring:
            # It begins again, and no event tells when.
            self._add(max(0.0, event.time - self.scoring))
            self.scoring = event.time
        else:
            self.since = self.since or event.time
        self.told += len(self.announced)
        self.untold += len(set(event.hosts) - self.announced)
        # That of a driver counts by its new beginning: none tells it where nothing was being trained.
        if not (event.hosts or self.announced or event.driver):
            self.untold += 1
        self.announced.clear()

    def recovered(self, event: contract.Recovery, pace: float | None) -> None:
        # Seconds of the event may be no number: a job writes what it likes.
        seconds = event.time - self.since if self.since else event.seconds
        self.waiting += seconds if 0 < seconds < float("inf") else 0.0
        self.since = 0.0
        again = max(0, event.lost_iterations)
        self.iterations += again
        if again:
            self._add(None if pace is None else again * pace)

    def _add(self, seconds: float | None) -> None:
        self.seconds = None if seconds is None or self.seconds is None else self.seconds + seconds


def _pace(events: list[Event]) -> float | None:
    """Return the seconds of an iteration before these events ended; None if they do not tell."""
    last = next((event for event in reversed(events) if isinstance(event, contract.Progress)), None)
    if last is None:
        return None
    if last.left_s is not None and 0 < last.left_s < float("inf") and last.max_iter > last.iteration:
        return last.left_s / (last.max_iter - last.iteration)
    until = list(takewhile(lambda event: event is not last, events))
    start = next((event for event in reversed(until) if isinstance(event, _TRAINING)), None)
    first = start.iteration if isinstance(start, contract.Recovery) else 0
    resumed = isinstance(start, contract.Training) and start.snapshot
    if resumed or last.iteration <= first or not 0 < last.seconds < float("inf"):
        return None
    return last.seconds / (last.iteration - first)

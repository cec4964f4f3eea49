"""History of a job: its events in writing order, and values derived from them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeVar

from jobs.trainer import contract
from jobs.trainer.contract import Event

AnEvent = TypeVar("AnEvent", bound=Event)


class History:
    """Events of a job; grows while the job is followed.

    Of consecutive reports of progress only the last is kept: there are two a second, for days.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events = list[Event]()
        for event in events:
            self.add(event)

    @classmethod
    def load(cls, lines: Iterable[str]) -> History:
        """Read lines of an events file; other lines are skipped."""
        made = cls()
        for line in lines:
            made.add_line(line)
        return made

    def add(self, event: Event) -> None:
        """Append an event."""
        last = self.events[-1] if self.events else None
        if isinstance(event, contract.Progress) and isinstance(last, contract.Progress):
            self.events.pop()
        self.events.append(event)

    def add_line(self, line: str) -> None:
        """Append the event of a line; other lines are skipped."""
        event = contract.load(line)
        if event is not None:
            self.add(event)

    def all(self, kind: type[AnEvent]) -> list[AnEvent]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def last(self, kind: type[AnEvent]) -> AnEvent | None:
        """Return the last event of a kind; None without one."""
        return next((event for event in reversed(self.events) if isinstance(event, kind)), None)

    @property
    def phase(self) -> str:
        """The current or last phase; empty before the first."""
        last = self.last(contract.Phase)
        return last.phase if last else ""

    @property
    def application(self) -> str:
        """The application's id, as YARN or Spark reports it; empty while neither has."""
        of_yarn, of_spark = self.last(contract.Application), self.last(contract.Executors)
        return (of_yarn.id if of_yarn else "") or (of_spark.application if of_spark else "")

    @property
    def executors(self) -> dict[str, dict[str, str]]:
        """`host` and `container` by executor id; empty until all have registered."""
        last = self.last(contract.Executors)
        listed = last.executors.items() if last else ()
        # Of what the job itself reports only the outermost type is known.
        return {number: where for number, where in listed if _is_place(where)}

    @property
    def end(self) -> float:
        """Seconds since the epoch of the latest event; 0 without one."""
        return max((event.time for event in self.events), default=0.0)

    def phase_seconds(self) -> dict[str, float]:
        """Return the seconds of each phase: from its events to the next phase's, or to the end."""
        marks = [
            (event.phase if isinstance(event, contract.Phase) else "", event.time)
            for event in self.events
            if isinstance(event, contract.Phase | contract.Done)
        ]
        found: dict[str, float] = {}
        # A driver that begins again has phases of the same names.
        for (name, start), (_, later) in pairwise(marks):
            if name:
                found[name] = round(found.get(name, 0.0) + later - start, 3)
        return found


def _is_place(where: object) -> bool:
    return isinstance(where, dict) and isinstance(where.get("host"), str)

"""Record of a drill: what the drill did and the nodes reported (marks), and the job's events."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Final, Literal

from jobs.report.history import History
from jobs.trainer import contract
from jobs.trainer.contract import Event

Kind = Literal["notice", "no-notice", "partition"]

ANNOUNCED: Final = "announced"
"""The metadata service tells of the interruption."""
READ: Final = "read"
"""The node's own service has read it."""
LEAVING: Final = "leaving"
LEFT: Final = "left"
COMPLETED: Final = "completed"
"""The node has completed its lifecycle action."""
TAKEN: Final = "taken"
"""The node was killed."""
CUT: Final = "cut"
HEALED: Final = "healed"
REPLACING: Final = "replacing"
REPLACED: Final = "replaced"
"""The new node is provisioned, and offers itself to the cluster manager."""


@dataclass(frozen=True)
class Plan:
    """An interruption."""

    kind: Kind = "notice"
    count: int = 1
    """Nodes that are taken at once."""
    notice_s: float = 120.0
    """Seconds from the notice until the nodes are taken."""
    heal_s: float = 60.0
    """Seconds of a partition."""


@dataclass(frozen=True)
class Mark:
    """A moment of the drill that is no event of the job; `time` is in seconds since the epoch."""

    time: float
    kind: str
    node: str = ""
    text: str = ""


@dataclass
class Record:
    """Events in writing order and marks by time; several threads add to it."""

    events: list[Event] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def restart(self) -> None:
        """Forget the events: they are read again from the first one."""
        with self._lock:
            self.events.clear()

    def line(self, text: str) -> Event | None:
        """Add the event of a line and return it; None for other lines."""
        event = contract.load(text)
        if event is not None:
            with self._lock:
                self.events.append(event)
        return event

    def mark(self, kind: str, node: str = "", text: str = "") -> Mark:
        """Add a mark of this moment."""
        made = Mark(round(time.time(), 3), kind, node, text)
        with self._lock:
            self.marks.append(made)
        return made

    @property
    def history(self) -> History:
        """History of the job so far."""
        with self._lock:
            return History(self.events)

    def first(self, *kinds: str) -> Mark | None:
        """Return the earliest mark of these kinds; None without one."""
        return min((mark for mark in self.marks if mark.kind in kinds), key=_time, default=None)

    def last(self, *kinds: str) -> Mark | None:
        """Return the latest mark of these kinds; None without one."""
        return max((mark for mark in self.marks if mark.kind in kinds), key=_time, default=None)


def _time(mark: Mark) -> float:
    return mark.time

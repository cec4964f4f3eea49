"""Silence of ranks that no other rank notices: before they are connected, and of one that trains alone.

Connected ranks miss each other's answers within the job's timeout. Before that they wait for all of them in
Spark's barrier, which has a limit of its own; and nobody waits for a rank without peers. So the driver counts
the seconds since their last events.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional

from jobs.trainer.contract import (
    BEGINNING,
    BUILDING,
    CONNECTING,
    LOADING,
    STORING,
    Event,
    Progress,
    RankStarted,
    RankStep,
    Validation,
)

FIRST = 5.0
"""Times the limit for a rank without peers before its first iterations have told how long one takes."""
TRAINING = "training"
_BEFORE = BUILDING, LOADING


class Hung(NamedTuple):
    """A rank that hangs, what it was doing, and for how many seconds it has been silent."""

    rank: int
    doing: str
    seconds: float


class Silence:
    """Seconds without a word of the ranks of an attempt at training; `hung` is the one that was given up."""

    def __init__(self) -> None:
        self.hung: Optional[Hung] = None
        self._steps: Dict[int, str] = {}
        self._since: Dict[int, float] = {}
        """Seconds since a rank's step began, by the rank."""
        self._quiet, self._doing = 0.0, ""
        self._longest: Optional[float] = None
        """Longest silence that an event has ended, once training has told of an iteration."""

    def see(self, event: Event) -> None:
        """Take notice of an event."""
        if isinstance(event, RankStarted):
            self._begin(event.rank, BUILDING)
        elif isinstance(event, RankStep):
            self._begin(event.rank, event.doing)
        elif isinstance(event, Progress):
            self._longest, self._doing = self._longest or 0.0, TRAINING
        elif isinstance(event, Validation):
            self._doing = TRAINING
        else:
            return
        if self._longest is not None:
            self._longest = max(self._longest, self._quiet)
        self._quiet = 0.0

    def _begin(self, rank: int, doing: str) -> None:
        # Signs of life within a step that is long do not begin it again.
        if doing != self._steps.get(rank):
            self._steps[rank], self._since[rank] = doing, 0.0
        self._doing = doing

    def tick(self, seconds: float, timeout: float, *, alone: bool) -> Optional[Hung]:
        """Let seconds pass; return a rank that hangs, by the job's timeout.

        The seconds are the caller's own, so that a driver that was suspended blames no rank for it.
        """
        self._quiet += seconds
        for rank in self._since:
            self._since[rank] += seconds
        self.hung = self._alone(timeout) if alone else self._before_others(timeout)
        return self.hung

    def _before_others(self, timeout: float) -> Optional[Hung]:
        """Return a rank that others wait for; None where none waits, or some have connected."""
        if not self._steps or set(self._steps.values()) - {*_BEFORE, CONNECTING}:
            return None
        if CONNECTING not in self._steps.values():
            return None
        late = [one for one, doing in self._steps.items() if doing in _BEFORE and self._since[one] > timeout]
        rank = max(late, key=lambda one: self._since[one], default=None)
        return None if rank is None else Hung(rank, self._steps[rank], self._since[rank])

    def _alone(self, timeout: float) -> Optional[Hung]:
        """Return the rank, if it has begun and is silent; what it stores at its end has limits of its own."""
        if not self._steps or self._doing == STORING:
            return None
        limit = FIRST * timeout if self._longest is None else timeout + self._longest
        doing = TRAINING if self._doing == BEGINNING else self._doing
        return Hung(0, doing, self._quiet) if self._quiet > limit else None

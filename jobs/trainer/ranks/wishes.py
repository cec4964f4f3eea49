"""Wishes of a rank between two iterations: its clock's, its node's cloud's, and the driver's."""

from __future__ import annotations

from typing import Callable, List, Optional

from jobs.trainer.contract import Event, Interruption
from jobs.trainer.ranks import notice
from jobs.trainer.ranks.agreement import Wish
from jobs.trainer.ranks.notice import Notice

LEAVE, REGROUP = "leave", "regroup"
"""Words of the driver to the ranks: to end this stage at once, or with the next snapshot of the clock's."""


class Wishes:
    """Wishes of rank `rank` on `host`; `timely` tells whether the clock asks for a snapshot.

    Where `clocked` is false, no clock ever does, and a word that waits for the next snapshot is obeyed at
    once.
    """

    def __init__(
        self,
        rank: int,
        host: str,
        tell: Callable[[Event], None],
        heard: Callable[[], List[str]],
        timely: Callable[[], bool],
        *,
        clocked: bool,
        noticed: Callable[[], Optional[Notice]] = notice.read,
    ) -> None:
        self._rank, self._host, self._tell, self._heard = rank, host, tell, heard
        self._timely, self._clocked, self._noticed = timely, clocked, noticed
        self._leaving = self._regrouping = False

    def __call__(self) -> Wish:
        """Return what this rank wants now."""
        if not self._leaving:
            found = self._noticed()
            if found is not None:
                self._tell(Interruption(self._host, found.why, found.at))
                self._leaving = True
        words = self._heard()
        self._leaving = self._leaving or LEAVE in words
        self._regrouping = self._regrouping or REGROUP in words
        timely = self._rank == 0 and self._timely()
        regroup = self._regrouping and (timely or not self._clocked)
        return Wish(snapshot=timely, leave=self._leaving or regroup)

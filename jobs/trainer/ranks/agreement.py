"""Agreement of the ranks on snapshots between the solver's own, and on an end before max_iter.

A clock, a notice of a cloud or a word of the driver reaches one rank, and all have to act after the same
iteration. So they ask each other about once a second, by a mean of three numbers.
"""

from __future__ import annotations

import time
from typing import Callable, NamedTuple

import numpy as np

PERIOD_S = 1.0
"""Seconds between two questions."""
MOST = 1000
"""Iterations between two questions, at most: a rank's clock may be off in the first ones."""


class Wish(NamedTuple):
    """What ranks want after an iteration: one of them is enough."""

    snapshot: bool = False
    leave: bool = False
    """End this stage after a snapshot: training goes on in another one."""


NOTHING = Wish()


class Agreement:
    """Questions of all ranks to all, the first one after iteration `first` + 1; `mean` is over all ranks."""

    def __init__(
        self,
        first: int,
        mean: Callable[[np.ndarray], np.ndarray],
        wish: Callable[[], Wish],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mean, self._wish, self._clock = mean, wish, clock
        self._asked, self._began = first, clock()
        self._next = first + 1

    def after(self, done: int) -> Wish:
        """Return what the ranks agree on after that many iterations, the same on every rank.

        Raises:
            PeerLost: a rank is gone or silent.
        """
        if done < self._next:
            return NOTHING
        now, mine = self._clock(), self._wish()
        seconds = (now - self._began) / (done - self._asked)
        snapshot, leave, pace = self._mean(np.asarray([mine.snapshot, mine.leave, seconds], np.float64))
        # The pace is the mean over the ranks, so the next question comes at the same iteration on each.
        self._next = done + min(MOST, max(1, int(PERIOD_S / max(float(pace), 1e-6))))
        self._asked, self._began = done, now
        return Wish(bool(snapshot > 0), bool(leave > 0))

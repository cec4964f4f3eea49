"""Milestones of a run: the head's steps as they are done, for workers that wait for them."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from bootstrap.engine.command import Needs


class Milestones:
    """The head's progress; workers wait on a condition variable."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._done: set[Needs] = set()
        self._at_first: frozenset[Needs] | None = None
        self._over = False

    def begin(self, settled: Iterable[Needs]) -> None:
        """Note that the head's facts are read, and the steps that will not change in this run."""
        with self._changed:
            self._at_first = frozenset(settled)
            self._done |= self._at_first
            self._changed.notify_all()

    def reach(self, step: Needs) -> None:
        """Mark a step of the head as done."""
        with self._changed:
            self._done.add(step)
            self._changed.notify_all()

    def end(self) -> None:
        """Mark the head's run as over: complete, failed or stopped."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def is_settled(self, step: Needs) -> bool:
        """Return whether the step was done before this run; True as well when the head's facts are unknown.

        Waits until the head's facts are read.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._at_first is not None or self._over)
            return self._at_first is None or step in self._at_first

    def wait(self, step: Needs) -> bool:
        """Wait for the step; False when it will not be done in this run."""
        with self._changed:
            self._changed.wait_for(lambda: step in self._done or self._over)
            return step in self._done

    def is_done(self, step: Needs) -> bool:
        """Return whether the step is done."""
        with self._changed:
            return step in self._done

"""What workers may wait for: the head's steps, as they get done."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from bootstrap.engine.command import Needs


class Milestones:
    """The head's progress. Workers wait on a condition; nobody polls."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._done: set[Needs] = set()
        self._at_first: frozenset[Needs] | None = None
        self._over = False

    def begin(self, settled: Iterable[Needs]) -> None:
        """The head's facts are read; these of its steps will not change in this run."""
        with self._changed:
            self._at_first = frozenset(settled)
            self._done |= self._at_first
            self._changed.notify_all()

    def reach(self, step: Needs) -> None:
        """The head's step is as it should be."""
        with self._changed:
            self._done.add(step)
            self._changed.notify_all()

    def end(self) -> None:
        """The head does no more steps: it is through, it failed, or the run is stopped."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def is_settled(self, step: Needs) -> bool:
        """Whether the step was done before this run; True as well when the head cannot tell.

        Waits until the head's facts are read.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._at_first is not None or self._over)
            return self._at_first is None or step in self._at_first

    def wait(self, step: Needs) -> bool:
        """Wait until the step is done, or will not be done in this run (False)."""
        with self._changed:
            self._changed.wait_for(lambda: step in self._done or self._over)
            return step in self._done

    def is_done(self, step: Needs) -> bool:
        """Whether the step is done by now."""
        with self._changed:
            return step in self._done

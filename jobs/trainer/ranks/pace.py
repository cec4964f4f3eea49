"""Speed of training and time left."""

from __future__ import annotations

import time
from typing import Callable, NamedTuple, Optional

PROGRESS_EVERY = 0.5
"""Seconds between two progress events."""


class Figures(NamedTuple):
    """Images a second on all ranks, seconds since the start, seconds left (None at the first iteration), and
    those of the seconds that went into validation."""

    images_per_s: float
    seconds: float
    left_s: Optional[float]
    validating: float = 0.0


class Pace:
    """Speed of training since its start, with images counted on all ranks; `validating` tells its seconds."""

    def __init__(
        self, first: int, last: int, images: int, validating: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._first, self._last, self._images, self._validating = first, last, images, validating
        self._began, self._told = time.monotonic(), 0.0

    def due(self) -> bool:
        """Return whether a progress event is due."""
        return time.monotonic() - self._told >= PROGRESS_EVERY

    def at(self, iteration: int) -> Figures:
        """Return the figures at an iteration."""
        self._told = time.monotonic()
        seconds = max(self._told - self._began, 1e-6)
        done = iteration - self._first
        left = seconds * (self._last - iteration) / done if done else None
        return Figures(done * self._images / seconds, seconds, left, self._validating())

"""How fast training goes, and how long it will go on."""

from __future__ import annotations

import time
from typing import Dict, Optional

PROGRESS_EVERY = 0.5
"""Seconds between two progress events."""


class Pace:
    """How fast it goes: since the start, images counted on all ranks."""

    def __init__(self, first: int, last: int, images: int) -> None:
        self._first, self._last, self._images = first, last, images
        self._began, self._told = time.monotonic(), 0.0

    def due(self) -> bool:
        """True when people have waited long enough for news."""
        return time.monotonic() - self._told >= PROGRESS_EVERY

    def at(self, iteration: int) -> Dict[str, Optional[float]]:
        """Images a second, seconds since the start, and seconds left (None at the first iteration)."""
        self._told = time.monotonic()
        seconds = max(self._told - self._began, 1e-6)
        done = iteration - self._first
        left = seconds * (self._last - iteration) / done if done else None
        return {"images_per_s": done * self._images / seconds, "seconds": seconds, "left_s": left}

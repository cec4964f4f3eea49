"""Durations as files have them: a number with its unit, such as `30 s`, `15 min` or `1.5 h`. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

UNITS: Final = {"s": 1, "min": 60, "h": 3600}
"""Seconds by unit."""
_WRITTEN: Final = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(UNITS)})", re.ASCII)


def seconds(text: str) -> Decimal | None:
    """Return the seconds of a duration; None for a text that is none."""
    match = _WRITTEN.fullmatch(text.strip())
    return Decimal(match[1]) * UNITS[match[2]] if match else None

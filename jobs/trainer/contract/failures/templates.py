"""Templates of a failure's words."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """Parts of an error: the input, why it fails, the fix; `str.format` templates in the catalogue."""

    given: str
    why: str
    fix: str


RESUME = "{resume}"
"""Filled in by `words`: how to resume from the last snapshot, or to run the job again without one.
`{restart}` likewise, for failures that come again unless something is changed."""

"""Shapes in words."""

from __future__ import annotations

from typing import Iterable


def in_words(shape: Iterable[object]) -> str:
    """Return a shape as messages have it: `3x28x28`."""
    return "x".join(map(str, shape))

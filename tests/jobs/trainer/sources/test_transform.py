"""transform_param against values computed by hand."""

from __future__ import annotations

import numpy as np

GREY = np.arange(9, dtype=np.uint8).reshape(1, 3, 3)
COLOUR = np.stack([np.full((2, 2), value, np.uint8) for value in (10, 20, 30)])


class Fixed(np.random.RandomState):
    """Gives these numbers, in turn."""

    def __init__(self, *values: int) -> None:
        super().__init__(0)
        self.values, self.limits = list(values), []

    def randint(self, limit: int) -> int:  # type: ignore[override]
        self.limits.append(limit)
        return self.values.pop(0)

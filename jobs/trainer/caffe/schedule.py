"""Learning rate at an iteration, for progress events: pycaffe does not expose it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Dict, Tuple


@dataclass(frozen=True)
class Rate:
    """The solver fields that decide the learning rate."""

    base: float
    policy: str = "fixed"
    gamma: float = 0.0
    power: float = 0.0
    stepsize: int = 1
    stepvalues: Tuple[int, ...] = ()
    max_iter: int = 1

    def at(self, iteration: int) -> float:
        """Return the rate of an iteration's update (0 is the first)."""
        return float(self.base * _FACTORS[self.policy](self, iteration))


_FACTORS: Dict[str, Callable[[Rate, int], float]] = {
    "fixed": lambda rate, iteration: 1.0,
    "step": lambda rate, iteration: rate.gamma ** (iteration // rate.stepsize),
    "exp": lambda rate, iteration: rate.gamma**iteration,
    "inv": lambda rate, iteration: (1 + rate.gamma * iteration) ** -rate.power,
    "multistep": lambda rate, iteration: rate.gamma ** sum(iteration >= step for step in rate.stepvalues),
    "poly": lambda rate, iteration: (1 - iteration / rate.max_iter) ** rate.power,
    "sigmoid": lambda rate, iteration: 1 / (1 + math.exp(-rate.gamma * (iteration - rate.stepsize))),
}
POLICIES = tuple(_FACTORS)

"""Learning rate at an iteration, for progress events: pycaffe does not expose it.

The formulas of SGDSolver::GetLearningRate, whose overflows are infinities and zeros as in C++, and no errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Tuple

import numpy as np


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
        with np.errstate(all="ignore"):
            return float(self.base * _FACTORS[self.policy](self, iteration))


def _power(base: float, exponent: float) -> float:
    return float(np.power(np.float64(base), np.float64(exponent)))


_FACTORS: Dict[str, Callable[[Rate, int], float]] = {
    "fixed": lambda rate, iteration: 1.0,
    "step": lambda rate, iteration: _power(rate.gamma, iteration // rate.stepsize),
    "exp": lambda rate, iteration: _power(rate.gamma, iteration),
    "inv": lambda rate, iteration: _power(1 + rate.gamma * iteration, -rate.power),
    "multistep": lambda rate, iteration: _power(
        rate.gamma, sum(iteration >= step for step in rate.stepvalues)
    ),
    "poly": lambda rate, iteration: _power(1 - iteration / rate.max_iter, rate.power),
    "sigmoid": lambda rate, iteration: float(
        1 / (1 + np.exp(np.float64(-rate.gamma * (iteration - rate.stepsize))))
    ),
}
POLICIES = tuple(_FACTORS)

"""Limits of a stack's cost, and the time after which idle workers stop."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from bootstrap.model import Model

Usd = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class Limits(Model):
    """Settings `budget`, `idleStop` and `idleStopHead` of a stack."""

    per_hour: Usd | None = None
    """USD an hour that the stack may be estimated at."""
    total: Usd | None = None
    """USD that the stack may spend, after which jobs end with a snapshot and workers stop."""
    idle_seconds: int | None = Field(gt=0, default=None)
    """Seconds after the last job's end, after which workers stop."""
    idle_head: bool = False
    """The head stops too."""

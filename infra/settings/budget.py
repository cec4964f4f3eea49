"""Settings `budget`, `idleStop` and `idleStopHead` of every kind of stack. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator, Field

from bootstrap import durations
from bootstrap.cluster import Limits
from bootstrap.errors import ConfigError
from bootstrap.money import CENT, span, usd
from infra.settings.commands import set_command
from infra.settings.fields import Unset
from infra.settings.section import YES_OR_NO, Hint, Section
from infra.tags import PROJECT

if TYPE_CHECKING:
    from infra.cost.bill import Bill
    from infra.settings.section import StackSettings

_PRICE: Final = re.compile(r"\d+(\.\d+)?")
LEAST_IDLE_S: Final = 600
"""Workers take minutes to come back, and a job takes some to be submitted: in a shorter time they would stop
before it."""
MOST_IDLE_S: Final = 7 * 24 * 3600


def _usd(value: object) -> object:
    """Validate a plain number; Decimal also accepts `1e3`. Callers without an engine pass floats."""
    if not _PRICE.fullmatch(str(value)) or isinstance(value, bool):
        raise ValueError("it must be a plain number, in USD")
    return str(value)


def seconds_of(value: object, least: int, most: int) -> object:
    """Return seconds of a time like `30 min`."""
    if value is None:
        return None
    seconds = durations.seconds(str(value))
    if seconds is None:
        raise ValueError("it must be a time with its unit")
    if not least <= seconds <= most:
        raise ValueError(f"it is too {'short' if seconds < least else 'long'}")
    if seconds % 1:
        raise ValueError("it must be whole seconds")
    return int(seconds)


Usd = Annotated[Decimal, BeforeValidator(_usd), Field(gt=0)]
_PER_HOUR: Final = Hint("5", "more than 0, in USD an hour, e.g. 5 or 2.50")
_TOTAL: Final = Hint("20", "more than 0, in USD, e.g. 20 or 7.50")


class Budget(Section):
    """What a stack may cost."""

    per_hour: Annotated[Usd | None, Unset, _PER_HOUR] = None
    """By the estimate; `fab preflight` and `pulumi up` refuse a stack above it."""
    total: Annotated[Usd | None, Unset, _TOTAL] = None
    """Since the stack's recorded start; jobs then end with a snapshot, and workers stop."""


BudgetSetting = Annotated[
    Budget | None, Unset, Hint("20", "{perHour: USD, total: USD}, either or both", at=("total",))
]
IdleStop = Annotated[
    int | None,
    BeforeValidator(partial(seconds_of, least=LEAST_IDLE_S, most=MOST_IDLE_S)),
    Unset,
    Hint('"30 min"', f"{LEAST_IDLE_S // 60} min to {MOST_IDLE_S // 3600} h, e.g. 30 min or 2 h"),
]
"""Seconds."""
IdleStopHead = Annotated[bool, Hint("true", YES_OR_NO)]


def limits(config: StackSettings) -> dict[str, Any] | None:
    """Return the `bootstrap.cluster.Limits` of a stack's document; None without any."""
    budget = config.budget or Budget()
    if (budget.per_hour, budget.total, config.idle_stop) == (None, None, None):
        return None
    return Limits(
        per_hour=budget.per_hour,
        total=budget.total,
        idle_seconds=config.idle_stop,
        # Only AWS has heads that can stop.
        idle_head=getattr(config, "idle_stop_head", False),
    ).model_dump(mode="json")


def require_within(config: StackSettings, bill: Bill, stack: str, lower: Mapping[str, object]) -> None:
    """Refuse a stack whose estimate for an hour is above `budget.perHour`.

    `lower` are settings by which it may cost less, with their values. A part without a price counts for
    nothing here; the estimate names it.

    Raises:
        ConfigError: it is above, at its highest.
    """
    budget = config.budget
    if budget is None or budget.per_hour is None or bill.high <= budget.per_hour:
        return
    shown = ", ".join(f"{key} ({value})" for key, value in lower.items())
    least = "at least " if bill.missing else ""
    why = (
        f"an hour of the stack is estimated to cost {least}{span(bill.low, bill.high)} USD, up to "
        f"{usd(bill.high - budget.per_hour)} more than that (prices: {bill.origin})"
    )
    raise ConfigError(
        f"{PROJECT}:budget.perHour = {budget.per_hour}",
        why,
        f"Lower {shown}; or allow it: "
        f"`{set_command('budget.perHour', _up(bill.high))} --stack {stack}`. `fab cost` shows the parts.",
    )


def warning(config: StackSettings, bill: Bill) -> str:
    """Return what a limit by the hour cannot tell since a part has no price; empty if it can."""
    if config.budget is None or config.budget.per_hour is None or not bill.missing:
        return ""
    return (
        f"{PROJECT}:budget.perHour = {config.budget.per_hour}: the estimate is {bill.cost(Decimal(1))} an "
        f"hour, since there is no price of {', '.join(bill.missing)}; it was not compared in full. "
        "Run `fab cost --refresh` for current prices."
    )


def _up(amount: Decimal) -> str:
    """Return an amount rounded up to a whole number of cents."""
    return f"{amount.quantize(CENT, ROUND_CEILING):f}"

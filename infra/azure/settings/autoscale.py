"""HDInsight's autoscale setting: by load, or by schedule. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from infra.settings.commands import rm_command, set_command
from infra.settings.refusal import Refusal
from infra.settings.section import MAX_WORKERS, Hint, Section

if TYPE_CHECKING:
    from infra.azure.settings.config import AzureConfig

Day = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
Count = Annotated[int, Field(ge=1, le=MAX_WORKERS)]

MIN_WORKERS: Final = 3
"""With fewer than three workers, HDFS stays in safe mode when one of them is removed:
https://learn.microsoft.com/azure/hdinsight/hdinsight-autoscale-clusters"""
COUNT: Final = f"{MIN_WORKERS} to {MAX_WORKERS}"


class Slot(Section):
    """Number of workers from a time of day on, on some days."""

    days: Annotated[tuple[Day, ...], Hint("Monday", "a list of days, Monday to Sunday", at=(0,))] = Field(
        min_length=1
    )
    time: Annotated[str, Hint("08:00", "HH:MM, 00:00 to 23:59")] = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """HH:MM in the schedule's time zone."""
    min: Annotated[Count, Hint("3", COUNT)]
    max: Annotated[Count, Hint("3", COUNT)]
    """HDInsight requires both, with the same value."""


class Autoscale(Section):
    """Bounds (`min`, `max`) of autoscale by load, or a `schedule`."""

    min: Annotated[Count | None, Hint("3", COUNT)] = None
    max: Annotated[Count | None, Hint("6", COUNT)] = None
    time_zone: Annotated[
        str,
        Hint("'W. Europe Standard Time'", "a time zone as Windows names it, or UTC"),
    ] = Field(default="UTC", pattern=r"^[A-Za-z0-9 .()+-]{3,60}$")
    """Time zone as named by Windows: `W. Europe Standard Time`."""
    schedule: Annotated[
        tuple[Slot, ...], Hint("08:00", "a list of {days, time, min, max}", at=(0, "time"))
    ] = ()

    @property
    def by_load(self) -> bool:
        """True if autoscale is by load."""
        return not self.schedule

    @property
    def bounds(self) -> tuple[int, int]:
        """Minimum and maximum number of workers."""
        if self.schedule:
            counts = [slot.min for slot in self.schedule]
            return min(counts), max(counts)
        return self.min or MIN_WORKERS, self.max or MIN_WORKERS


def check(config: AzureConfig) -> None:
    """Raise the first `Refusal` of the autoscale setting, if there is one."""
    scale = config.autoscale
    if scale is None:
        return
    bounds = (scale.min, scale.max)
    if scale.schedule and bounds != (None, None):
        why = "load and schedule exclude each other; valid: min and max, or a schedule"
        raise Refusal("autoscale", "min, max and a schedule", why, rm_command("autoscale.schedule"))
    if not scale.schedule and None in bounds:
        which, wanted = (
            ("min", MIN_WORKERS) if scale.min is None else ("max", _above(scale.min, config.workers))
        )
        why = f"{which} is missing; valid: both min and max, or a schedule"
        raise Refusal("autoscale", _said(scale), why, set_command(f"autoscale.{which}", wanted))
    if scale.schedule:
        _slots(scale)
    else:
        _load(scale)
    _workers(config, scale)


def _load(scale: Autoscale) -> None:
    low, high = scale.bounds
    if low < MIN_WORKERS:
        why = (
            f"HDFS needs {MIN_WORKERS} workers to leave safe mode; valid: {MIN_WORKERS} to {MAX_WORKERS - 1}"
        )
        raise Refusal("autoscale.min", low, why, set_command("autoscale.min", MIN_WORKERS))
    if low == MAX_WORKERS:
        why = f"that leaves no room to scale; valid: {MIN_WORKERS} to {MAX_WORKERS - 1}"
        raise Refusal("autoscale.min", low, why, set_command("autoscale.min", MIN_WORKERS))
    if high <= low:
        why = f"it must be above min ({low}); valid: more than {low}, up to {MAX_WORKERS}"
        raise Refusal("autoscale.max", high, why, set_command("autoscale.max", _above(low, 2 * low)))


def _above(low: int, wanted: int) -> int:
    """Return a valid maximum, `wanted` if possible."""
    return min(max(low + 1, MIN_WORKERS + 1, wanted), MAX_WORKERS)


def _slots(scale: Autoscale) -> None:
    taken: dict[tuple[str, str], int] = {}
    for place, slot in enumerate(scale.schedule):
        key = f"autoscale.schedule[{place}]"
        if slot.min != slot.max:
            why = f"a schedule sets a fixed number of workers; valid: max = min ({slot.min}), or min = max"
            raise Refusal(f"{key}.max", slot.max, why, set_command(f"{key}.max", slot.min))
        if slot.min < MIN_WORKERS:
            why = (
                f"HDFS needs {MIN_WORKERS} workers to leave safe mode; valid: {MIN_WORKERS} to {MAX_WORKERS}"
            )
            raise Refusal(f"{key}.min", slot.min, why, set_command(f"{key}.min", MIN_WORKERS))
        for day in slot.days:
            other = taken.setdefault((day, slot.time), place)
            if other != place:
                why = f"schedule[{other}] has the same day and time; valid: no duplicates"
                raise Refusal(key, f"{day} {slot.time}", why, rm_command(key))


def _workers(config: AzureConfig, scale: Autoscale) -> None:
    low, high = scale.bounds
    if not low <= config.workers <= high:
        side = f"below autoscale's minimum ({low})" if config.workers < low else f"above its maximum ({high})"
        why = f"it is the initial number, and {side}; valid: {low} to {high}"
        nearest = min(max(config.workers, low), high)
        raise Refusal("workers", config.workers, why, set_command("workers", nearest))


def _said(scale: Autoscale) -> str:
    parts = [
        f"{name} {value}" for name, value in (("min", scale.min), ("max", scale.max)) if value is not None
    ]
    return ", ".join(parts) or "{}"

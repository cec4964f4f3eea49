"""Serialization of events as lines, compatible with older and newer writers.

An event is one JSON line, `{"event": KIND, "time": SECONDS, …}`, with the kind first so that a reader of a
mixed log recognizes it by its start. Readers drop unknown fields, fields with a default may be absent, and a
line that does not fit is not an event: a job may write any line, so every value is checked, to its elements.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from typing import Any, Dict, Optional, Tuple, Type, TypeVar, Union, get_type_hints

from jobs.trainer.contract.events import EVENTS, Event

_BY_KIND = {event.kind: event for event in EVENTS}
_TYPES: Dict[str, Dict[str, Any]] = {
    event.kind: {name: kind for name, kind in get_type_hints(event).items() if name not in {"kind", "time"}}
    for event in EVENTS
}
"""Types of the fields of each kind."""
_LARGEST = 2**63
LAST_SECOND = 2**36
"""Seconds since the epoch, in the year 4147: later times are not valid, and break calendars."""
_NO_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""Floats that JSON has no number for, as Spark writes them too."""

START = '{"event": '
"""Start of every event's line, and of no line of a log."""

AnEvent = TypeVar("AnEvent", bound=Event)


def stamped(event: AnEvent, at: Optional[float] = None) -> AnEvent:
    """Return the event with its time, by default now."""
    found = dataclasses.replace(event)
    object.__setattr__(found, "time", round(time.time() if at is None else at, 3))
    return found


def dump(event: Event) -> str:
    """Return the event as its line, without the line's end."""
    values = dataclasses.asdict(event)
    return json.dumps(jsonable({"event": event.kind, "time": values.pop("time"), **values}), allow_nan=False)


def jsonable(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value with its floats that are no numbers as texts, as Spark writes them."""
    if isinstance(value, dict):
        return {key: jsonable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def start_of(kind: Type[Event]) -> str:
    """Return the start of the lines of a kind."""
    return START + json.dumps(kind.kind) + ","


def load(line: str) -> Optional[Event]:
    """Read a line; None where it holds no event that this version knows."""
    if not line.startswith(START):
        return None
    try:
        values = json.loads(line)
        kind = _BY_KIND[values.pop("event")]
        at = _read(float, values.pop("time", 0.0))
        if not 0 <= at < LAST_SECOND:
            return None
        types = _TYPES[kind.kind]
        event = kind(**{name: _read(types[name], value) for name, value in values.items() if name in types})
    # RecursionError: nested too deep; TypeError also where a field without a default is missing
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    object.__setattr__(event, "time", at)
    return event


def _read(declared: Any, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as its declared type; ValueError where it is of another."""
    if declared is Any:
        return value
    origin: Any = getattr(declared, "__origin__", None)
    arguments: Tuple[Any, ...] = getattr(declared, "__args__", ())
    if origin is Union:  # Optional[…]
        return None if value is None else _read(arguments[0], value)
    if origin is dict and isinstance(value, dict):
        return {name: _read(arguments[1], one) for name, one in value.items()}
    if origin is list and isinstance(value, list):
        return [_read(arguments[0], one) for one in value]
    if declared is float:
        return _float(value)
    odd = isinstance(value, bool) != (declared is bool)
    if odd or origin is not None or not isinstance(value, declared):
        raise ValueError("not a valid {}".format(declared))
    if declared is int and abs(value) > _LARGEST:
        raise ValueError("too large")
    return value


def _float(value: Any) -> float:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return _NO_NUMBERS[value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("not a valid number")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError("too large")
    return float(value)

"""Serialization of events as lines, compatible with older and newer writers.

An event is one JSON line, `{"event": KIND, "time": SECONDS, …}`, with the kind first so that a reader of a
mixed log recognizes it by its start. Readers drop unknown fields, fields with a default may be absent, and a
line that does not fit is not an event.
"""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any, Optional, Type, TypeVar

from jobs.trainer.contract.events import EVENTS, Event

_BY_KIND = {event.kind: event for event in EVENTS}
_CHECKED = {"int": (int,), "float": (int, float), "str": (str,), "Optional[float]": (int, float, type(None))}
_CHECKED_CONTAINERS = {"Dict": dict, "List": list}

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
    return json.dumps({"event": event.kind, "time": values.pop("time"), **values})


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
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    at = values.pop("time", 0.0)
    known = {item.name: item for item in dataclasses.fields(kind) if item.init}
    given = {name: value for name, value in values.items() if name in known}
    if not isinstance(at, (int, float)) or not all(_fits(known[name].type, given[name]) for name in given):
        return None
    try:
        event = kind(**given)
    except TypeError:
        return None  # a field without a default is missing
    object.__setattr__(event, "time", float(at))
    return event


def _fits(declared: Any, value: Any) -> bool:  # noqa: ANN401 - any JSON value
    name = str(declared)
    container = _CHECKED_CONTAINERS.get(name.partition("[")[0])
    if container is not None:
        return isinstance(value, container)
    return isinstance(value, _CHECKED[name]) and not isinstance(value, bool)

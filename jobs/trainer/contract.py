"""Wire contract between the programs of a job: events, names of settings, exit statuses.

The driver and its ranks write it on the nodes, `jobs.backends.on_head` relays it on the head, and `jobs`
reads it on the operator's machine. Python 3.8, standard library only, no import of this project.

An event is one JSON line, `{"event": KIND, "time": SECONDS, …}`, with the kind first so that a reader of a
mixed log knows it by its start. Readers accept what an older or newer writer sends: fields that they do not
know are dropped, fields with a default may be absent, and a line that does not fit is not an event.
"""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar, Dict, List, Optional, Tuple, Type, TypeVar

# ---- names

JOB_ENV = "CAFFE_SPARK_JOB"
"""Environment variable of every process of a job, with the job's id: none is overlooked when a job ends."""
EVENTS_ENV = "CAFFE_SPARK_EVENTS"
"""Environment variable of the driver: the file that it appends its events to."""
FEED_ENV = "CAFFE_SPARK_FEED"
"""Environment variable of the driver: a file with `host:port:token` of a program that takes its events."""
EVENTS_URI_ENV = "CAFFE_SPARK_EVENTS_URI"
"""Environment variable of the driver: a URI that its events are copied to while it runs."""
OVERRIDE_ENV = "CAFFE_SPARK_OVERRIDE_"
"""Prefix of environment variables that override a value of the prototxts; see `OVERRIDES`."""
OVERRIDES = ("max_iter", "batch", "train_source", "test_source")
WATCH_ENV = "CAFFE_SPARK_WATCH"
"""Environment variable of the process that watches a rank: JSON of the rank and of the driver's address."""

TIMEOUT_CONF = "spark.caffespark.timeout"
"""Spark setting: seconds after which a silent rank counts as lost."""
TRANSPORT_CONF = "spark.caffespark.transport"
"""Spark setting: `ethernet` (average gradients) or `none` (ranks train alone, for measurements)."""

PROGRAM_FILE = "main.py"
TRAINER_FILE = "trainer.zip"
EVENTS_FILE = "events.jsonl"
FEED_FILE = "feed"
"""Files of a job: the program that spark-submit runs, the trainer, the events, the address of the feed."""
SAMPLE_ID = "SampleID"
"""Column of the features that holds the record's key, as in CaffeOnSpark."""

# ---- exit statuses

DONE, FAILED, REFUSED = 0, 1, 2
"""REFUSED: the command line, a prototxt or the data cannot be run, and nothing has been changed."""
KILLED = 143
"""Ended from outside, by SIGTERM or by the cluster manager."""
SIGNALLED = 128
"""Statuses from here on are of processes that a signal ended (128 + its number)."""

# ---- events


@dataclass(frozen=True)
class Event:
    """Base of all events. `time` is in seconds since the epoch; 0 until the event is written."""

    kind: ClassVar[str] = ""
    time: float = field(default=0.0, init=False, compare=False)


@dataclass(frozen=True)
class Phase(Event):
    """A phase begins: start, data, train, score, stop. It lasts until the next one."""

    kind = "phase"
    phase: str


@dataclass(frozen=True)
class Note(Event):
    """Something accepted that has no effect, or not the usual one."""

    kind = "note"
    message: str


@dataclass(frozen=True)
class RankStarted(Event):
    """A rank's process has started. `address` is its executor's host as Spark names it."""

    kind = "rank"
    rank: int
    host: str
    address: str = ""


@dataclass(frozen=True)
class Executors(Event):
    """All executors have registered: `{executor id: {"host": …, "container": …}}`; container only on YARN."""

    kind = "executors"
    application: str = ""
    executors: Dict[str, Dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Data(Event):
    """Records by phase: `{"TRAIN": 60000, "TEST": 10000}`."""

    kind = "data"
    records: Dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress(Event):
    """Training has reached an iteration. Images are counted on all ranks, seconds since training began."""

    kind = "progress"
    iteration: int
    max_iter: int
    loss: float = 0.0
    images_per_s: float = 0.0
    seconds: float = 0.0
    left_s: Optional[float] = None
    """Estimated seconds until max_iter; None at the first iteration."""


@dataclass(frozen=True)
class Display(Progress):
    """The solver's `display`: the loss is the mean over all ranks."""

    kind = "display"
    lr: float = 0.0


@dataclass(frozen=True)
class Validation(Event):
    """Means of the TEST net's outputs in an interleaved validation."""

    kind = "validation"
    iteration: int
    max_iter: int = 0
    values: Dict[str, List[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot(Event):
    """URIs of a snapshot that is complete in storage."""

    kind = "snapshot"
    iteration: int
    max_iter: int = 0
    weights: str = ""
    state: str = ""


@dataclass(frozen=True)
class RankFailed(Event):
    """A rank has failed, by its own account or by that of the process that watches it."""

    kind = "rank-failed"
    rank: int
    host: str
    origin: str
    """One of `ORIGINS`."""
    reason: str = ""
    code: str = ""
    """Of `jobs.trainer.failures`, with its `fields`, where the rank's failure is one of these."""
    fields: Dict[str, Any] = field(default_factory=dict)
    tail: List[str] = field(default_factory=list)
    """The last lines of its stderr, where it died."""


OWN, NATIVE, SILENT, PEER = "own", "native", "silent", "peer"
ORIGINS = (OWN, NATIVE, SILENT, PEER)
"""An exception of its own; a CHECK of Caffe that aborted it; a silent death; the loss of another rank."""


@dataclass(frozen=True)
class Trained(Event):
    """Training has ended. Images are of all ranks; seconds are the slowest rank's, without validation."""

    kind = "trained"
    iterations: int = 0
    images: int = 0
    seconds: float = 0.0
    images_per_s: float = 0.0
    sha256: str = ""
    """Digest of the weights, the same on all ranks."""
    hosts: List[str] = field(default_factory=list)
    model: str = ""
    """URI of the weights."""
    ranks: List[Dict[str, Any]] = field(default_factory=list)
    """By rank: `rank`, `host`, `seconds`, and of these `waited_seconds` for the other ranks."""


@dataclass(frozen=True)
class Means(Event):
    """Means of the TEST net's outputs over all samples, and the URI that they were written to."""

    kind = "means"
    values: Dict[str, List[float]] = field(default_factory=dict)
    samples: int = 0
    path: str = ""


@dataclass(frozen=True)
class Failed(Event):
    """The job has failed: a code of `jobs.trainer.failures` with its fields; `message` is for readers of
    logs."""

    kind = "failed"
    code: str = ""
    fields: Dict[str, Any] = field(default_factory=dict)
    exit_code: int = FAILED
    message: str = ""


@dataclass(frozen=True)
class Done(Event):
    """The job has ended well."""

    kind = "done"
    seconds: float = 0.0


@dataclass(frozen=True)
class Application(Event):
    """YARN's report of the application, each time its state changes."""

    kind = "application"
    id: str = ""
    state: str = ""
    container: str = ""
    """The driver's container, once there is one, and its node in `host`."""
    host: str = ""
    said: str = ""
    """YARN's diagnostics."""


@dataclass(frozen=True)
class Waiting(Event):
    """YARN has accepted the application and does not run it yet."""

    kind = "waiting"
    why: str = ""


EVENTS: Tuple[Type[Event], ...] = (
    Phase,
    Note,
    RankStarted,
    Executors,
    Data,
    Progress,
    Display,
    Validation,
    Snapshot,
    RankFailed,
    Trained,
    Means,
    Failed,
    Done,
    Application,
    Waiting,
)
_BY_KIND = {event.kind: event for event in EVENTS}
_CHECKED = {"int": (int,), "float": (int, float), "str": (str,), "Optional[float]": (int, float, type(None))}
_CHECKED_CONTAINERS = {"Dict": dict, "List": list}

START = '{"event": '
"""Every event's line begins with this, and no line of a log does."""

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
    """Return what the lines of a kind begin with."""
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
    known = {one.name: one for one in dataclasses.fields(kind) if one.init}
    given = {name: value for name, value in values.items() if name in known}
    if not isinstance(at, (int, float)) or not all(_fits(known[name].type, given[name]) for name in given):
        return None
    try:
        event = kind(**given)
    except TypeError:
        return None  # a field without a default is missing
    object.__setattr__(event, "time", float(at))
    return event


def _fits(declared: Any, value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    name = str(declared)
    container = _CHECKED_CONTAINERS.get(name.partition("[")[0])
    if container is not None:
        return isinstance(value, container)
    return isinstance(value, _CHECKED[name]) and not isinstance(value, bool)

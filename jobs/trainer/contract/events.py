"""Events of a job, each with typed fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Dict, List, Optional, Tuple, Type

from jobs.trainer.contract.names import FAILED


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
    """An option that was accepted without effect, or with an unusual one; or why executors take no part."""

    kind = "note"
    message: str


@dataclass(frozen=True)
class RankStarted(Event):
    """A rank's process has started. `address` is its executor's host as Spark names it."""

    kind = "rank"
    rank: int
    host: str
    address: str = ""


BUILDING, LOADING, CONNECTING = "building its nets", "loading its weights", "connecting to the other ranks"
BEGINNING, VALIDATING, STORING = "beginning", "validating", "storing its files"
"""Steps of a rank: it starts with the first, and `Progress` tells of iterations."""


@dataclass(frozen=True)
class RankStep(Event):
    """A rank has begun a step, or is still in one that takes long."""

    kind = "rank-step"
    rank: int
    doing: str = ""


@dataclass(frozen=True)
class Executors(Event):
    """All executors have registered: `{executor id: {"host": …, "container": …}}`; container only on YARN."""

    kind = "executors"
    application: str = ""
    executors: Dict[str, Any] = field(default_factory=dict)
    """Each checked by its readers, so that what a later version adds to one costs no reader the others."""


@dataclass(frozen=True)
class Data(Event):
    """Records by phase: `{"TRAIN": 60000, "TEST": 10000}`; `TEST#1` where there are several TEST nets."""

    kind = "data"
    records: Dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Converting(Event):
    """Records of a phase's source that have been converted to an LMDB so far."""

    kind = "converting"
    phase: str = ""
    records: int = 0


@dataclass(frozen=True)
class Training(Event):
    """Training begins: what the losses of its `Display` events are means of."""

    kind = "training"
    ranks: int = 0
    """Ranks; 1 where each of several trains alone."""
    average_loss: int = 1
    """Iterations, the last of which is the one displayed."""
    iter_size: int = 1
    """Batches of a rank in an iteration."""
    snapshot: str = ""
    """URI of the snapshot that it resumes from."""


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
    validating: float = 0.0
    """Those of the seconds that went into validation."""


@dataclass(frozen=True)
class Display(Progress):
    """The solver's `display`: the loss is the mean over all ranks."""

    kind = "display"
    lr: float = 0.0


@dataclass(frozen=True)
class Validation(Event):
    """Means of the TEST net's outputs in an interleaved validation; of several nets `accuracy#1`."""

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
    timed: bool = False
    """Beside those that the solver asks for: newer ones replace it."""

    def resume(self) -> Dict[str, Any]:
        """Return the fields of a failure that say how to resume from it."""
        return {"resume_from": self.iteration, "snapshot": self.state, "weights": self.weights}


@dataclass(frozen=True)
class UploadFailed(Event):
    """A file of a snapshot, or the model, could not be stored in an attempt (counted from 1)."""

    kind = "upload-failed"
    iteration: int
    uri: str = ""
    reason: str = ""
    attempt: int = 0
    retry_s: Optional[float] = None
    """Seconds until the next attempt; None: there is none."""


@dataclass(frozen=True)
class RankFailed(Event):
    """A rank has failed, as reported by itself or by the process that watches it."""

    kind = "rank-failed"
    rank: int
    host: str
    origin: str
    """One of `ORIGINS`."""
    reason: str = ""
    code: str = ""
    """Of `contract.failures`, with its `fields`, where the rank's failure is one of these."""
    fields: Dict[str, Any] = field(default_factory=dict)
    tail: List[str] = field(default_factory=list)
    """The last lines of its stderr, if its process died."""


@dataclass(frozen=True)
class Interruption(Event):
    """A node is about to be taken, as its cloud has announced: training takes a snapshot and leaves it."""

    kind = "interruption"
    host: str
    why: str = ""
    at: float = 0.0
    """When the node ends, in seconds since the epoch; 0 where the cloud has not said."""


@dataclass(frozen=True)
class WorkersLost(Event):
    """Training has stopped without some of its executors, and will go on: see `Recovery`."""

    kind = "workers-lost"
    iteration: int
    """The last one that was reported."""
    hosts: List[str] = field(default_factory=list)
    code: str = ""
    """Of `contract.failures`, with its `fields`; empty where a notice came before."""
    fields: Dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    driver: bool = False
    """The driver itself was lost, and has begun again."""


@dataclass(frozen=True)
class Recovery(Event):
    """Training goes on, after a loss or with executors that have come back."""

    kind = "recovery"
    generation: int
    """Attempts at training up to this one; the first is 1, and is no recovery."""
    iteration: int
    """Iteration that it goes on from."""
    executors: int = 0
    wanted: int = 0
    """Executors of the job's specification."""
    lost_iterations: int = 0
    """Iterations that are done again."""
    seconds: float = 0.0
    """Since the loss, or since the ranks had stopped to grow."""
    rule: str = ""
    """How batch and learning rate follow the number of executors; empty where that is the same."""
    hosts: List[str] = field(default_factory=list)


OWN, NATIVE, SILENT, PEER = "own", "native", "silent", "peer"
ORIGINS = (OWN, NATIVE, SILENT, PEER)
"""An exception of its own; a fatal CHECK of Caffe; a death without a message; a lost peer."""


@dataclass(frozen=True)
class Trained(Event):
    """Training has ended. Images are of all ranks, seconds the slowest rank's, without validation.

    Images and `seconds` are of iterations that count, in all attempts, and so is their quotient
    `images_per_s`. Iterations that were done again after a loss are in `lost_seconds`, but for those that a
    driver had not recorded which was itself lost; the time without training is in neither.
    """

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
    lost_seconds: float = 0.0


@dataclass(frozen=True)
class Rounds(Event):
    """Number of interleaved validations, and the URI of the table of them."""

    kind = "rounds"
    rounds: int = 0
    path: str = ""


@dataclass(frozen=True)
class Means(Event):
    """Means of the TEST net's outputs over all samples, and the URI that they were written to."""

    kind = "means"
    values: Dict[str, List[float]] = field(default_factory=dict)
    samples: int = 0
    path: str = ""


@dataclass(frozen=True)
class Failed(Event):
    """The job has failed: a code of `contract.failures` with its fields; `message` is for
    logs."""

    kind = "failed"
    code: str = ""
    fields: Dict[str, Any] = field(default_factory=dict)
    exit_code: int = FAILED
    message: str = ""


@dataclass(frozen=True)
class Done(Event):
    """The job has succeeded."""

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
    RankStep,
    Executors,
    Data,
    Converting,
    Training,
    Progress,
    Display,
    Validation,
    Snapshot,
    UploadFailed,
    RankFailed,
    Interruption,
    WorkersLost,
    Recovery,
    Trained,
    Rounds,
    Means,
    Failed,
    Done,
    Application,
    Waiting,
)

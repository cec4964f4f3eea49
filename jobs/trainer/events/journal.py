"""Journal of a run on the driver: writes all events, logs some, keeps those that explain a failure."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, TextIO, Type

from jobs.trainer import contract
from jobs.trainer.contract import Event
from jobs.trainer.events.channel import Sender
from jobs.trainer.events.silence import Hung, Silence


class Journal:
    """Events as JSON lines in `path` (None: no file); `feed` receives a copy of each."""

    def __init__(self, path: Optional[Path], show: TextIO, feed: Optional[Sender] = None) -> None:
        self._file = path.open("a") if path else None
        self._feed = feed
        self._over = False
        self._show, self._lock = show, threading.Lock()
        self.ranks: Dict[int, contract.RankStarted] = {}
        self.placed: Dict[str, str] = {}
        """Host by executor id."""
        self.failures: List[contract.RankFailed] = []
        self.snapshot: Optional[contract.Snapshot] = None
        self.snapshots: List[contract.Snapshot] = []
        """All that stay, and the two newest that the clock has asked for."""
        self.stored = threading.Event()
        """Set when there is a snapshot more."""
        self.interruptions: List[contract.Interruption] = []
        self.begun, self.first = False, 0
        """True once the current attempt at training has told of an iteration; the one that it began at."""
        self.steps, self.seconds = 0, 0.0
        """Iterations that the current attempt at training has told of, and their seconds, without
        validation."""
        self.validations: List[contract.Validation] = []
        self.iteration = 0
        self.silence = Silence()
        """Of the ranks of the current attempt at training."""

    @property
    def timed(self) -> List[contract.Snapshot]:
        """The newest snapshots that the clock has asked for."""
        return [one for one in self.snapshots if one.timed]

    def add(self, event: Event) -> None:
        """Write an event, and log it if it has a log line."""
        with self._lock:
            self._remember(event)
            event = contract.stamped(event)
            if self._file:
                self._file.write(contract.dump(event) + "\n")
                self._file.flush()
            if self._feed:
                self._feed.send(event)
            text = shown(event)
            if text:
                print(text, file=self._show, flush=True)

    def anew(self, iteration: int) -> None:
        """Forget what concerns an attempt at training; the next one begins at `iteration`."""
        with self._lock:
            self.ranks, self.failures, self.interruptions = {}, [], []
            self.silence = Silence()
            self.validations = [one for one in self.validations if one.iteration < iteration]
            self.iteration = self.first = iteration
            self.begun, self.steps, self.seconds = False, 0, 0.0

    def restore(
        self, snapshots: Sequence[contract.Snapshot], validations: Sequence[contract.Validation], reached: int
    ) -> None:
        """Remember what an earlier driver of this job has written."""
        with self._lock:
            self.snapshots, self.validations = list(snapshots), list(validations)
            self.snapshot = self.snapshots[-1] if self.snapshots else None
            self.iteration = reached

    def silent(self, seconds: float, timeout: float, *, alone: bool) -> Optional[Hung]:
        """Return a rank that hangs after further seconds; see `Silence.tick`."""
        with self._lock:
            return self.silence.tick(seconds, timeout, alone=alone)

    def _remember(self, event: Event) -> None:
        self.silence.see(event)
        if isinstance(event, contract.RankStarted):
            self.ranks[event.rank] = event
        elif isinstance(event, contract.Executors):
            self.placed = {number: place["host"] for number, place in event.executors.items()}
        elif isinstance(event, contract.RankFailed):
            self.failures.append(event)
        elif isinstance(event, contract.Snapshot):
            self.snapshot = event
            older = self.timed[:-1] if event.timed else []
            self.snapshots = [*(one for one in self.snapshots if one not in older), event]
            self.stored.set()
        elif isinstance(event, contract.Interruption):
            self.interruptions.append(event)
        elif isinstance(event, contract.Progress):
            # The first one tells of the iteration that training begins at.
            self.first = self.first if self.begun else event.iteration
            # It comes after the iteration that it names, but for the last one.
            self.steps = min(event.iteration + 1, event.max_iter or event.iteration + 1) - self.first
            self.begun, self.seconds = True, event.seconds - event.validating
        elif isinstance(event, contract.Validation):
            self.validations.append(event)
        self.iteration = max(self.iteration, getattr(event, "iteration", 0))

    def finish(self, event: Event) -> None:
        """Add the event that ends the job; only the first call has an effect."""
        if not self._over:
            self._over = True
            self.add(event)

    def phase(self, name: str) -> None:
        """Begin a phase; it lasts until the next one."""
        self.add(contract.Phase(name))

    def close(self) -> None:
        """Close the file and the feed; later events are shown alone."""
        with self._lock:
            file, feed, self._file, self._feed = self._file, self._feed, None, None
        if file:
            file.close()
        if feed:
            feed.close()


def shown(event: Event) -> str:
    """Return the log line of an event; empty for most."""
    show = _SHOWN.get(type(event))
    return show(event) if show else ""


_SHOWN: Mapping[Type[Event], Callable[..., str]] = {
    contract.Phase: lambda event: "--- " + event.phase,
    contract.RankStarted: lambda event: "rank {} on {}".format(event.rank, event.host),
    contract.Converting: lambda event: converted_text(event),  # noqa: PLW0108 - defined below
    contract.Display: lambda event: "Iteration {}, loss = {:.6g}, lr = {:.6g}, {:.0f} images/s".format(
        event.iteration, event.loss, event.lr, event.images_per_s
    ),
    contract.Validation: lambda event: "Iteration {}, validation: {}".format(
        event.iteration, values_text(event.values)
    ),
    contract.Rounds: lambda event: "{} rounds of validation: {}".format(event.rounds, event.path),
    contract.Snapshot: lambda event: "Iteration {}, snapshot: {}".format(event.iteration, event.state),
    contract.UploadFailed: lambda event: "Iteration {}, {}".format(event.iteration, upload_text(event)),
    contract.Note: lambda event: "note: " + event.message,
    contract.Interruption: lambda event: "notice on {}: {}".format(event.host, event.why),
    contract.WorkersLost: lambda event: "Iteration {}, lost: {}".format(event.iteration, lost_text(event)),
    contract.Recovery: lambda event: "Iteration {}, {}".format(event.iteration, recovery_text(event)),
    contract.RankFailed: lambda event: "rank {} on {} failed: {}".format(
        event.rank, event.host, event.reason
    ),
}


def converted_text(event: contract.Converting) -> str:
    """Return `TRAIN records converted: 60,000`."""
    return "{} records converted: {:,}".format(event.phase, event.records)


def lost_text(event: contract.WorkersLost) -> str:
    """Return `w1 (killed)`."""
    lost = ", ".join(event.hosts) or ("the driver" if event.driver else "a worker")
    return "{} ({})".format(lost, event.reason or "no reason is known")


def recovery_text(event: contract.Recovery) -> str:
    """Return `attempt 2 with 1 of 2 executors, 12 iterations again; iter_size 2: …`."""
    text = "attempt {} with {} of {} executors, {} iterations again".format(
        event.generation, event.executors, event.wanted, event.lost_iterations
    )
    return "{}; {}".format(text, event.rule) if event.rule else text


def upload_text(event: contract.UploadFailed) -> str:
    """Return `hdfs://…/m is not stored (attempt 1): no space; next attempt in 5 s`."""
    after = (
        "no further attempt" if event.retry_s is None else "next attempt in {:.0f} s".format(event.retry_s)
    )
    return "{} is not stored (attempt {}): {}; {}".format(event.uri, event.attempt, event.reason, after)


def values_text(values: Mapping[str, List[float]]) -> str:
    """Return `accuracy = 0.99, loss = 0.03`."""
    return ", ".join(
        "{} = {}".format(name, ",".join("{:.6g}".format(one) for one in some))
        for name, some in values.items()
    )

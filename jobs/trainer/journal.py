"""What the driver knows of the run: every event goes to a file, some are shown, failures are weighed."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, TextIO

from jobs.trainer.channel import Event, Sender

_WEIGHT = {"own": 0, "native": 1, "silent": 2, "peer": 3}
"""Which failure is the cause when several ranks fail: the first kind here that any rank reports."""


class Journal:
    """Events as JSON lines in `path` (none: they are only shown), each with the seconds since the epoch.

    They go to `feed` as well, where somebody elsewhere follows the job.
    """

    def __init__(self, path: Optional[Path], show: TextIO, feed: Optional[Sender] = None) -> None:
        self._file = path.open("a") if path else None
        self._feed = feed
        self._over = False
        self._show, self._lock = show, threading.Lock()
        self.hosts: Dict[int, str] = {}
        self.placed: Dict[str, str] = {}
        """Hosts by executor."""
        self.failures: List[Event] = []
        self.snapshot: Optional[Event] = None
        self.iteration = 0

    def add(self, event: Event) -> None:
        """Keep an event, and show it when people want to see it."""
        with self._lock:
            kind = event["event"]
            if kind == "rank":
                self.hosts[event["rank"]] = event["host"]
            elif kind == "executors":
                self.placed = {number: where["host"] for number, where in event["executors"].items()}
            elif kind == "failed" and "rank" in event:
                self.failures.append(event)
            elif kind == "snapshot":
                self.snapshot = event
            self.iteration = max(self.iteration, event.get("iteration", 0))
            # The kind comes first, so that a reader of a mixed log knows an event by its start.
            line = {"event": kind, "time": round(time.time(), 3), **event}
            if self._file:
                self._file.write(json.dumps(line) + "\n")
                self._file.flush()
            if self._feed:
                self._feed.send(line)
            text = shown(event)
            if text:
                print(text, file=self._show, flush=True)

    def finish(self, event: Event) -> None:
        """Say how the job ended; what is said first counts."""
        if not self._over:
            self._over = True
            self.add(event)

    def phase(self, name: str) -> None:
        """Say that a phase begins; it lasts until the next one."""
        self.add({"event": "phase", "phase": name})

    def cause(self) -> Optional[Event]:
        """The failure that explains the others."""
        if not self.failures:
            return None
        return min(self.failures, key=lambda event: _WEIGHT.get(event.get("kind", "own"), 0))

    def close(self) -> None:
        """Close the file and the feed."""
        if self._file:
            self._file.close()
        if self._feed:
            self._feed.close()


def shown(event: Event) -> str:
    """The line people see for an event; empty for most."""
    kind = event["event"]
    if kind == "failed" and "rank" not in event:
        return ""
    template = _SHOWN.get(kind, "")
    values = values_text(event["values"]) if kind == "validation" else ""
    return template.format(**{**event, "values": values})


_SHOWN = {
    "phase": "--- {phase}",
    "rank": "rank {rank} on {host}",
    "display": "Iteration {iteration}, loss = {loss:.6g}, lr = {lr:.6g}, {images_per_s:.0f} images/s",
    "validation": "Iteration {iteration}, validation: {values}",
    "snapshot": "Iteration {iteration}, snapshot: {state}",
    "note": "note: {message}",
    "failed": "rank {rank} on {host} failed: {message}",
}


def values_text(values: Dict[str, Any]) -> str:
    """`accuracy = 0.99, loss = 0.03`."""
    return ", ".join(
        "{} = {}".format(name, ",".join("{:.6g}".format(one) for one in some))
        for name, some in values.items()
    )

"""Record by which a driver goes on where a lost one of the same job has stopped.

It lies in the job's folder of shared storage, as two files that are written in turn: whatever moment a driver
is lost at, one of them is whole.
"""

from __future__ import annotations

import json
import math
import os
import time
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from jobs.trainer import contract, stopping
from jobs.trainer.contract import (
    CONTROL_CONF,
    FAIL,
    RESTART_FILES,
    RESTARTS_ENV,
    SHRINK,
    Snapshot,
    Trained,
    Validation,
)
from jobs.trainer.errors import TrainerError
from jobs.trainer.files.hadoop import Files
from jobs.trainer.policy import policy
from jobs.trainer.running import RunningJob

END = "end"
"""Last line of a file that is whole."""
REACHED_S = 10.0
"""Seconds between two records that differ in the last iteration alone."""
TOGETHER_S = 30.0
"""Seconds for all executors to register again, before training goes on without some of them."""
_TICK_S = 0.2
_PAUSE_S = 1.0


class Record(NamedTuple):
    """State of a job; `generation` is the newest attempt at training, 0 before the first."""

    generation: int = 0
    owners: Tuple[str, ...] = ()
    """Owners of the fences of all attempts, of all drivers."""
    origin: int = -1
    """Iteration that training began at; -1 while no rank has told it."""
    reached: int = 0
    """The last iteration that was reported."""
    images: int = 0
    seconds: float = 0.0
    """What training up to the newest snapshot took, as `Trained` counts."""
    snapshots: Tuple[Snapshot, ...] = ()
    validations: Tuple[Validation, ...] = ()
    trained: Optional[Trained] = None
    obsolete: Tuple[str, ...] = ()
    """Files that nobody needs once training is over."""
    lost_seconds: float = 0.0
    """Of iterations that were done again before the current attempt."""

    @property
    def newest(self) -> Optional[Snapshot]:
        """The newest snapshot; None without one."""
        return self.snapshots[-1] if self.snapshots else None

    def alike(self, other: "Record") -> bool:
        """Return whether another record serves as well: what grows between two snapshots does not count."""
        return self._replace(reached=0, seconds=0.0) == other._replace(reached=0, seconds=0.0)

    def dump(self, number: int) -> str:
        """Return the text of the record that is written as the `number`th."""
        header = {
            "number": number,
            "generation": self.generation,
            "owners": self.owners,
            "origin": self.origin,
            "reached": self.reached,
            "images": self.images,
            "seconds": self.seconds,
            "lost_seconds": self.lost_seconds,
            "obsolete": self.obsolete,
        }
        events = (*self.snapshots, *self.validations, *([self.trained] if self.trained else []))
        return "\n".join([json.dumps(header), *map(contract.dump, events), END, ""])


def load(text: str) -> Optional[Tuple[int, Record]]:
    """Return the number of a record and the record itself; None for a text that is not whole."""
    lines = text.splitlines()
    if len(lines) < len((END, "header")) or lines[-1] != END:
        return None
    try:
        header: Dict[str, Any] = json.loads(lines[0])
        events = [contract.load(line) for line in lines[1:-1]]
        fields = {name: value for name, value in header.items() if name in Record._fields}
        for name in ("owners", "obsolete"):
            fields[name] = tuple(fields[name])
        trained = [event for event in events if isinstance(event, Trained)]
        found = Record(
            **fields,
            snapshots=tuple(event for event in events if isinstance(event, Snapshot)),
            validations=tuple(event for event in events if isinstance(event, Validation)),
            trained=trained[-1] if trained else None,
        )
        return int(header["number"]), found
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class Records:
    """Records of a job in a folder of shared storage; `earlier` is that of a driver before this one."""

    def __init__(self, running: RunningJob, folder: str) -> None:
        self._files, self._folder, self._scratch = running.files, folder, running.folder
        self._number = 0
        self._written: Optional[Record] = None
        self._at = 0.0
        self.earlier = self._read()

    def write(self, record: Record) -> None:
        """Write a record, unless the last one says the same.

        Raises:
            TrainerError: storage refuses it.
        """
        now = time.monotonic()
        alike = self._written is not None and record.alike(self._written)
        if alike and (record == self._written or now - self._at < REACHED_S):
            return
        number = self._number + 1
        uri = "{}/{}".format(self._folder, RESTART_FILES[number % len(RESTART_FILES)])
        self._files.write(uri, record.dump(number))
        self._number, self._written, self._at = number, record, now

    def keep(self, record: Record) -> None:
        """Write a record; a job goes on where storage refuses it."""
        try:
            self.write(record)
        except TrainerError as error:
            print("not kept for a restart: {}".format(error), flush=True)

    def remove(self) -> None:
        """Remove the records: the job is over, or another one begins in their folder."""
        self.earlier, self._written = None, None
        try:
            for name in RESTART_FILES:
                self._files.remove("{}/{}".format(self._folder, name))
        except TrainerError as error:
            print("not removed: {}".format(error), flush=True)

    def _read(self) -> Optional[Record]:
        found = []
        for name in RESTART_FILES:
            uri, copy = "{}/{}".format(self._folder, name), self._scratch / name
            if self._files.exists(uri):
                self._files.fetch(uri, copy)
                whole = load(copy.read_text())
                copy.unlink()
                if whole:
                    found.append(whole)
        if not found:
            return None
        self._number, newest = max(found, key=lambda pair: pair[0])
        return newest


def await_storage(files: Files, conf: Mapping[str, str], size: int) -> None:
    """Wait until storage takes writes, in a driver that begins again: it may have gone down with the node.

    Spark itself does not start without, where it writes event logs.

    Raises:
        TrainerError: it does not in the time that the job waits for executors.
    """
    rules, began, told = policy(conf, size), time.monotonic(), False
    while rules.restarts and restarts():
        try:
            files.make_folder(conf[CONTROL_CONF])
        except TrainerError as error:
            if time.monotonic() - began > rules.limit_s:
                raise
            if not told:
                print("waiting for shared storage: {}".format(error), flush=True)
            told = True
            time.sleep(_PAUSE_S)
        else:
            return


def begin(running: RunningJob) -> None:
    """Find what an earlier driver has left, if the job's settings ask for it; keep records from now on.

    Raises:
        TrainerError: storage does not answer.
    """
    if not policy(running.conf, running.size).restarts:
        return
    running.records = Records(running, running.conf[CONTROL_CONF])
    if not restarts():
        # Of another job in this folder.
        running.records.remove()
    if running.records.earlier is not None:
        running.journal.add(contract.Note("the driver was lost, and begins again"))


def restarts() -> int:
    """Return how often this driver has been started again."""
    return int(os.environ.get(RESTARTS_ENV, "0"))


def await_executors(running: RunningJob) -> None:
    """Wait for executors, as Spark's setting has it; in a driver that begins again, as the job's policy does:
    for all of them, or as many as it goes on with.

    Raises:
        TrainerError: there are not enough in time, or the job was asked to end.
    """
    rules, began, looked = policy(running.conf, running.size), time.monotonic(), -math.inf
    if rules.action == FAIL or not (rules.restarts and restarts()):
        running.executors.require(running.size)
        return
    while True:
        if time.monotonic() - looked >= stopping.PERIOD_S:
            looked = time.monotonic()
            reason = stopping.asked(running)
            if reason:
                earlier = running.earlier or Record()
                raise stopping.stopped(earlier.reached, reason, earlier.newest)
        there, waited = len(running.executors.ready()), time.monotonic() - began
        enough = rules.action == SHRINK and there >= rules.least and waited > TOGETHER_S
        if there >= running.size or enough:
            return
        if waited > rules.limit_s:
            raise running.executors.missing(running.size)
        time.sleep(_TICK_S)

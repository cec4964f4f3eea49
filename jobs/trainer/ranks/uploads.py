"""Uploads of rank 0's snapshots and of the model, beside training, with retries.

A snapshot that cannot be stored does not end the job while there is an earlier one to resume from. A newer
file ends the retries of an older one, so no more than the newest snapshots wait on the rank's disk.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Callable, Deque, List, NamedTuple, Optional, Protocol, Sequence, Tuple

from jobs.trainer import contract
from jobs.trainer.errors import TrainerError, reason_of
from jobs.trainer.files.store import Store

PAUSES = (2.0, 5.0, 15.0, 30.0, 60.0)
"""Seconds before each further attempt: together longer than a NameNode takes to restart."""
CLOSING_S = 15.0
"""Seconds for an attempt to end when the rank fails: its snapshot is what to resume from."""


def _nothing() -> None:
    """Finish files that are finished."""


Files = Sequence[Tuple[Path, str]]
"""Local files with their URIs."""


class _Upload(NamedTuple):
    iteration: int
    files: Files
    complete: Optional[contract.Event]
    """Event of a complete snapshot; None for the model."""
    prepare: Callable[[], None]
    """Finishes the files, in the thread of uploads."""
    obsolete: Sequence[str]
    """URIs of files to remove when it is complete."""


class Storage(Protocol):
    """Shared storage, as `files.store.Store`."""

    def put(self, source: Path, uri: str) -> None:
        """Copy a local file to a URI, replacing an existing one."""

    def remove(self, uris: Sequence[str]) -> None:
        """Remove files."""

    def close(self) -> None:
        """Free what it holds."""


class Uploads:
    """Uploads in the order in which they are given, one at a time.

    `resumable` tells that training began from a snapshot, which can be resumed from again.
    """

    def __init__(
        self,
        tell: Callable[[contract.Event], None],
        *,
        resumable: bool = False,
        pauses: Optional[Sequence[float]] = None,
        store: Optional[Storage] = None,
    ) -> None:
        self._tell, self._storage = tell, store or Store()
        self._pauses = PAUSES if pauses is None else tuple(pauses)
        self._resumable = resumable
        self._waiting: Deque[_Upload] = deque()
        self._busy = self._closing = False
        self._failure: Optional[TrainerError] = None
        self.obsolete: List[str] = []
        """Files that snapshots would have replaced which could not be stored; the next one replaces them."""
        self._change = threading.Condition()
        # A daemon: a rank that fails does not wait for storage.
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)
        self._thread.start()

    def snapshot(
        self,
        iteration: int,
        files: Files,
        complete: contract.Event,
        prepare: Callable[[], None] = _nothing,
        obsolete: Sequence[str] = (),
    ) -> None:
        """Upload a snapshot's files after `prepare`; tell `complete` when all of them are in storage.

        Then remove the files `obsolete`.
        """
        self._add(_Upload(iteration, files, complete, prepare, obsolete))

    def check(self) -> None:
        """Raise the failure that ends the job, if there is one.

        Raises:
            TrainerError: a snapshot could not be stored, and nothing to resume from is left.
        """
        if self._failure is not None:
            raise self._failure

    def model(self, iteration: int, model: Path, uri: str) -> None:
        """Upload the model after the snapshots."""
        self._add(_Upload(iteration, [(model, uri)], None, _nothing, ()))

    @property
    def busy(self) -> bool:
        """True while an upload waits or runs."""
        with self._change:
            return bool(self._waiting) or self._busy

    def finish(self) -> None:
        """Return when everything is uploaded.

        Raises:
            TrainerError: the model could not be stored.
        """
        self.settle()
        self.check()

    def settle(self) -> None:
        """Return when everything is uploaded or given up."""
        with self._change:
            self._change.wait_for(lambda: not (self._waiting or self._busy))

    def close(self) -> None:
        """End the retries; one attempt for what is newest gets CLOSING_S seconds."""
        with self._change:
            self._closing = True
            while len(self._waiting) > 1:
                self._waiting.popleft()
            self._change.notify_all()
        self._thread.join(CLOSING_S)

    def _add(self, upload: _Upload) -> None:
        with self._change:
            self._waiting.append(upload)
            self._change.notify_all()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    break
                upload, self._busy = self._waiting.popleft(), True
            try:
                self._store(upload)
            finally:
                with self._change:
                    self._busy = False
                    self._change.notify_all()
        self._storage.close()

    def _store(self, upload: _Upload) -> None:
        left = list(upload.files)
        for attempt, pause in enumerate([*self._pauses, None], start=1):
            failed = self._attempt(upload, left)
            if failed is None:
                self._failure = None
                if upload.complete is not None:
                    self._resumable = True
                    self._tell(upload.complete)
                    self._tidy(upload)
                return
            if isinstance(failed, TrainerError) and failed.code == "fenced":
                self._failure = failed
                break
            uri, reason = left[0][1], reason_of(failed)
            retry_s = None if self._closing or self._newer(upload) else pause
            if retry_s is None:
                self._give_up(upload, uri, reason)
            self._tell(contract.UploadFailed(upload.iteration, uri, reason, attempt, retry_s))
            if retry_s is None:
                break
            with self._change:
                self._change.wait_for(lambda: self._closing or self._newer(upload), retry_s)
        self.obsolete += upload.obsolete
        for file, _ in left:
            if file.exists():
                file.unlink()

    def _tidy(self, upload: _Upload) -> None:
        obsolete, self.obsolete = [*self.obsolete, *upload.obsolete], []
        try:
            self._storage.remove(obsolete)
        except TrainerError as error:
            # Into the executor's log: they are in nobody's way.
            print("not removed: {}".format(error), flush=True)

    def _give_up(self, upload: _Upload, uri: str, reason: str) -> None:
        if upload.complete is None:
            self._failure = TrainerError("model-not-stored", uri=uri, reason=reason)
        elif not (self._resumable or self._newer(upload) or self._closing):
            self._failure = TrainerError(
                "snapshot-not-stored", uri=uri, iteration=upload.iteration, reason=reason
            )

    def _attempt(self, upload: _Upload, left: List[Tuple[Path, str]]) -> Optional[Exception]:
        """Upload the files that are left; return what went wrong."""
        try:
            if len(left) == len(upload.files):
                upload.prepare()
            while left:
                self._storage.put(*left[0])
                left.pop(0)[0].unlink()
        except Exception as error:
            return error
        return None

    def _newer(self, upload: _Upload) -> bool:
        """Return whether a file that replaces a snapshot waits; nothing replaces the model."""
        return upload.complete is not None and bool(self._waiting)

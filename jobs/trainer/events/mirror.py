"""Mirror of the driver's events in shared storage, for followers without access to nodes."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

INTERVAL = 3.0
"""Seconds between two copies."""
AGAIN = 2.0
"""Seconds before the last copy is retried."""
CLOSING = 60.0
"""Maximum seconds of the last copy, so that unavailable storage does not keep the job from ending."""


class Mirror:
    """Copies a growing file to `uri` whenever it has grown; a failed copy is retried."""

    def __init__(self, files: Any, source: Path, uri: str, interval: float = INTERVAL) -> None:  # noqa: ANN401
        self._files, self._source, self._uri = files, source, uri
        self._interval, self._size = interval, 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.wait(self._interval):
            self._copy()
        if not self._copy():
            time.sleep(AGAIN)
            self._copy()

    def _copy(self) -> bool:
        """Copy the file if it has grown; return whether the copy is up to date."""
        try:
            size = self._source.stat().st_size
            if size != self._size:
                self._files.write(self._uri, self._source.read_text())
                self._size = size
        except Exception as error:
            # The job goes on without the copy.
            self._say(error)
            return False
        return True

    def _say(self, why: object) -> None:
        print("events are not copied to {}: {}".format(self._uri, why), flush=True)

    def close(self) -> None:
        """Make the last copy; a second call does nothing."""
        self._ending.set()
        self._thread.join(CLOSING)
        if self._thread.is_alive():
            self._say("the last copy takes longer than {:.0f} s".format(CLOSING))

"""Shared storage of a rank: one JVM that stays, and the job's fence before what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Optional, Sequence

from jobs.trainer.errors import TrainerError
from jobs.trainer.files import storage
from jobs.trainer.files.fence import Fence
from jobs.trainer.files.shell import Shell


class Store:
    """Files by URI, for one thread at a time; without a fence where there is no other attempt."""

    def __init__(self, fence: Optional[Fence] = None) -> None:
        self._shell, self._fence = Shell(), fence

    def get(self, uri: str, target: Path) -> None:
        """Copy a file to a local path that does not exist.

        Raises:
            TrainerError: it cannot be read.
        """
        self._with_new_settings(lambda: storage.get(uri, target, run=self._shell.run))

    def put(self, source: Path, uri: str) -> None:
        """Copy a local file to `uri`, replacing an existing one.

        Raises:
            TrainerError: storage refused it, or a newer attempt at training has begun.
        """
        part = storage.PART if self._fence is None else self._fence.part
        run, allowed = self._shell.run, self._allowed
        self._with_new_settings(lambda: storage.put(source, uri, run=run, allowed=allowed, part=part))

    def remove(self, uris: Sequence[str]) -> None:
        """Remove files. Raises as `put`."""

        def work() -> None:
            if self._allowed is not None:
                self._allowed()
            storage.remove(uris, run=self._shell.run)

        self._with_new_settings(work)

    def close(self) -> None:
        """End the JVM."""
        self._shell.close()

    @property
    def _allowed(self) -> Optional[Callable[[], None]]:
        fence = self._fence
        return None if fence is None else lambda: fence.check(self._shell.run)

    def _with_new_settings(self, work: Callable[[], None]) -> None:
        try:
            work()
        except TrainerError:
            self._shell.close()  # another attempt reads the node's settings and keys again
            raise

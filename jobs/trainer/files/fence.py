"""Fence of a job's files in shared storage: only the newest attempt at training writes them.

An executor that a partition hides from the driver lives on, and may reach storage again when others have
taken its place. The driver writes the number of each attempt to a file before it begins; whoever writes a
file of the job reads it between the transfer and the renaming.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from jobs.trainer.errors import TrainerError
from jobs.trainer.files import storage

SUFFIX = ".generation"
"""Added to the URI of the model."""


class Fence(NamedTuple):
    """The attempt of this rank, and the URI of the file with the number of the one that may write."""

    uri: str
    generation: int

    @property
    def text(self) -> str:
        """Content of the file while this attempt is the newest."""
        return "{}\n".format(self.generation)

    def check(self, run: Optional[storage.Run] = None) -> None:
        """Require that this attempt is the newest.

        Raises:
            TrainerError: another one is, or the file cannot be read.
        """
        found = storage.read(self.uri, run=run).strip()
        if found != str(self.generation):
            raise TrainerError("fenced", generation=self.generation, newest=found[:40], uri=self.uri)

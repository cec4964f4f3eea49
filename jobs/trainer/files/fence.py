"""Fence of a job's files in shared storage: only the newest attempt at training writes them.

An executor that a partition hides from the driver lives on, and may reach storage again when others have
taken its place. The driver writes the mark of each attempt to a file before it begins; whoever writes a
file of the job reads it between the transfer and the renaming.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from jobs.trainer.errors import TrainerError
from jobs.trainer.files import storage

SUFFIX = ".generation"
"""Added to the URI of the model."""


class Fence(NamedTuple):
    """The attempt of this rank, and the URI of the file with the mark of the one that may write."""

    uri: str
    generation: int
    owner: str = ""
    """Tells this training from an earlier one of the same model, whose ranks may live on too."""

    @property
    def mark(self) -> str:
        """Name of this attempt, which no other one has."""
        return "-".join(filter(None, [str(self.generation), self.owner]))

    @property
    def text(self) -> str:
        """Content of the file while this attempt is the newest."""
        return self.mark + "\n"

    @property
    def part(self) -> str:
        """Suffix of a file that this attempt has on its way."""
        return ".{}{}".format(self.mark, storage.PART)

    def check(self, run: Optional[storage.Run] = None) -> None:
        """Require that this attempt is the newest.

        Raises:
            TrainerError: another one is, or the file cannot be read.
        """
        # Among warnings with their stacks, as Hadoop's client has them for a node that is lost.
        found = [line.strip() for line in storage.read(self.uri, run=run).splitlines()]
        if self.mark not in found:
            newest = "".join(found[-1:]).partition("-")[0][:40]
            raise TrainerError("fenced", generation=self.generation, newest=newest, uri=self.uri)

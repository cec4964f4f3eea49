"""Records that a data layer takes, each checked before Caffe sees it.

Caffe indexes memory by labels without a check, and numpy spreads or cuts pixels of another shape: both would
be a crash of one rank or a wrong figure, with no word of the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from jobs.trainer.errors import Refused
from jobs.trainer.sources.base import Record
from jobs.trainer.sources.transform import Transform


@dataclass(frozen=True)
class Fit:
    """Shape and labels of the records of a data layer."""

    phase: str
    shape: Tuple[int, int, int]
    """(channels, height, width) after the transformation."""
    transform: Transform
    classes: int = 0
    """Labels are 0 to classes - 1; 0: the net takes any label."""
    ignored: Tuple[int, ...] = ()
    """Labels outside that every layer ignores (`ignore_label`)."""

    def require(self, record: Record) -> None:
        """Require that a record fits.

        Raises:
            Refused: it does not; it is named.
        """
        if not self._takes(record.pixels.shape):
            raise Refused(
                "record-does-not-fit",
                key=record.id,
                phase=self.phase,
                record="x".join(map(str, record.pixels.shape)),
                layer=self._wanted(),
            )
        if self.classes and not 0 <= record.label < self.classes and record.label not in self.ignored:
            raise Refused(
                "label-out-of-range",
                key=record.id,
                phase=self.phase,
                label=record.label,
                classes=self.classes,
            )

    def _takes(self, record: Tuple[int, ...]) -> bool:
        transform, (channels, height, width) = self.transform, record
        if transform.mean is not None and transform.mean.shape != record:
            return False
        if transform.crop:
            return min(height, width) >= transform.crop and channels == self.shape[0]
        return self.shape == record

    def _wanted(self) -> str:
        transform = self.transform
        wanted = transform.mean.shape if transform.mean is not None else self.shape
        least = "at least " if transform.crop and transform.mean is None else ""
        return least + "x".join(map(str, wanted))

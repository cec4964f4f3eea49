"""Blobs of a data layer, and the feeds that fill them."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence, Tuple

from jobs.trainer.caffe.labels import ANY, Labels
from jobs.trainer.sources.columns import Column
from jobs.trainer.sources.transform import Transform

AXES = 3
"""Axes of an image: channels, height and width."""


class Blob(NamedTuple):
    """A blob with one database of records, transformed by one feed."""

    name: str
    shape: Tuple[int, int, int]
    """(channels, height, width) of a transformed record."""
    transform: Transform
    labels: Labels = ANY
    """Labels that the net takes: of the records, or where there is no label blob their values."""
    label_blob: str = ""
    """Blob of the records' labels; empty: their values are the labels, if any."""
    axes: int = AXES
    """Axes of a record in the blob, the first ones of `shape`; the others have one element."""
    transposed: bool = False
    """The last axis is the batch's, not the first one."""
    resize: Tuple[int, ...] = ()
    """Height and width that images get before they are transformed; empty: their own."""

    def dims(self, batch: int) -> Dict[str, List[int]]:
        """Return the shapes of a batch's blobs, by name."""
        record = list(self.shape[: self.axes])
        shapes = {self.name: [*record, batch] if self.transposed else [batch, *record]}
        return {**shapes, self.label_blob: [batch]} if self.label_blob else shapes


class Top(NamedTuple):
    """Top of a CoSData layer: its column, and its blob."""

    column: Column
    blob: Blob


def columns_of(tops: Sequence[Top]) -> Tuple[Column, ...]:
    """Return the columns of tops."""
    return tuple(top.column for top in tops)

"""Record sources: the protocol that databases of samples implement."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Protocol, Tuple


class RecordSource(Protocol):
    """Records of a data layer's source by position, opened on one node."""

    paths: Tuple[Path, ...]
    """LMDBs with the records, as Caffe's Datum, which the native module reads: one for each of the layer's
    feeds, with the same keys."""

    def __len__(self) -> int:
        """Return the number of records."""

    def ends(self) -> Tuple[str, str]:
        """Return the ids of the first and the last record: two copies of one source agree on them."""

    def shape(self) -> Optional[Tuple[int, int, int]]:
        """Return (channels, height, width) of the first record; None where its image tells.

        Raises:
            Refused: there is no record, or it is not a valid one.
        """

    def close(self) -> None:
        """Release the source."""

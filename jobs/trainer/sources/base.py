"""Record sources: the protocol that databases of samples implement."""

from __future__ import annotations

from typing import Generator, NamedTuple, Optional, Protocol, Tuple

import numpy as np


class Record(NamedTuple):
    """One sample: its id, the class number, and pixels (channels, height, width)."""

    id: str
    label: int
    pixels: np.ndarray


class RecordSource(Protocol):
    """Records of a data layer's source by position, opened for reading on one node."""

    def __len__(self) -> int:
        """Return the number of records."""

    def ends(self) -> Tuple[str, str]:
        """Return the ids of the first and the last record: two copies of one source agree on them."""

    def shape(self) -> Optional[Tuple[int, int, int]]:
        """Return (channels, height, width) of the first record; None when there is none."""

    def read(self, start: int, stop: int) -> Generator[Record, None, None]:
        """Yield the records at positions start..stop-1.

        Raises:
            Refused: a record cannot be read; it is named.
        """

    def close(self) -> None:
        """Release the source."""

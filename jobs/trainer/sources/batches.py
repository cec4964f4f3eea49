"""Batches of a rank: the transformed records of its range, repeated in order."""

from __future__ import annotations

from typing import Generator, Iterator, List, Tuple

import numpy as np

from jobs.trainer.sources.base import Record, RecordSource
from jobs.trainer.sources.fit import Fit

Batch = Tuple[np.ndarray, np.ndarray, List[str]]
"""Data (n, channels, height, width), labels (n), both float32 and contiguous, and the sample ids."""


def assemble(records: List[Record], fit: Fit, random: np.random.RandomState) -> Batch:
    """Transform and stack records.

    Raises:
        Refused: the layer does not take a record.
    """
    for record in records:
        fit.require(record)
    data = np.stack([fit.transform.apply(record.pixels, random) for record in records])
    labels = np.asarray([record.label for record in records], np.float32)
    return np.ascontiguousarray(data, np.float32), labels, [record.id for record in records]


def training_batches(
    source: RecordSource, start: int, stop: int, batch: int, *, fit: Fit, seed: int, skip: int = 0
) -> Generator[Batch, None, None]:
    """Yield batches over the range endlessly and across epochs, so no record is left out.

    `skip` records were used before a resumed run, which continues after them.
    """
    random = np.random.RandomState(seed)
    endless = _cycle(source, start, stop, start + skip % (stop - start))
    while True:
        yield assemble([next(endless) for _ in range(batch)], fit, random)


def _cycle(source: RecordSource, start: int, stop: int, first: int) -> Iterator[Record]:
    while True:
        yield from source.read(first, stop)
        first = start

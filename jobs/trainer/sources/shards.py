"""Record ranges of ranks: contiguous, covering every record exactly once."""

from __future__ import annotations

from typing import Iterator, List, Tuple


def shard(total: int, size: int, rank: int) -> Tuple[int, int]:
    """Return the half-open range of `rank` among `size`; lengths differ by at most one."""
    return total * rank // size, total * (rank + 1) // size


def batch_shard(total: int, batch: int, size: int, rank: int) -> Tuple[int, int]:
    """Return a range like `shard`, cut at multiples of `batch`, so results do not depend on `size`."""
    first, last = shard(-(-total // batch), size, rank)
    return min(first * batch, total), min(last * batch, total)


def batches(start: int, stop: int, batch: int) -> Iterator[Tuple[int, int]]:
    """Yield the range in pieces of `batch`; the last one may be smaller."""
    for first in range(start, stop, batch):
        yield first, min(first + batch, stop)


def validation_batches(
    round_: int, total: int, batch: int, *, test_iter: int, size: int, rank: int
) -> List[int]:
    """Return the first records of the batches of `rank` in validation number `round_`.

    As in CaffeOnSpark, a validation takes `test_iter` batches, and the next one continues where it stopped,
    around whole chunks of the source. Unlike there, the ranks share the batches.
    """
    chunk = test_iter * batch
    start = (round_ % (total // chunk)) * chunk
    return [start + index * batch for index in range(test_iter) if index % size == rank]

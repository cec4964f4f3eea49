"""Who reads which records: contiguous ranges that cover every record exactly once."""

from __future__ import annotations

from typing import Iterator, List, Tuple


def shard(total: int, size: int, rank: int) -> Tuple[int, int]:
    """The half-open range of `rank` among `size`; ranges differ in length by at most one."""
    return total * rank // size, total * (rank + 1) // size


def batch_shard(total: int, batch: int, size: int, rank: int) -> Tuple[int, int]:
    """Like `shard`, cut at multiples of `batch`, so that no result depends on the number of executors."""
    first, last = shard(-(-total // batch), size, rank)
    return min(first * batch, total), min(last * batch, total)


def batches(start: int, stop: int, batch: int) -> Iterator[Tuple[int, int]]:
    """The range in pieces of `batch`; the last one is what is left."""
    for first in range(start, stop, batch):
        yield first, min(first + batch, stop)


def validation_batches(
    round_: int, total: int, batch: int, *, test_iter: int, size: int, rank: int
) -> List[int]:
    """First records of the batches that `rank` runs in validation number `round_`.

    As in CaffeOnSpark, a validation takes `test_iter` batches, and the next one goes on where it stopped,
    around whole chunks of the source. Here the ranks share the batches instead of all running each.
    """
    chunk = test_iter * batch
    start = (round_ % (total // chunk)) * chunk
    return [start + index * batch for index in range(test_iter) if index % size == rank]

"""Records of each rank: batches of a data layer, as positions in its source."""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Tuple


class Request(NamedTuple):
    """A batch: `size` records of an endlessly repeated source from index `first` on, every `stride`th."""

    first: int
    size: int
    stride: int


def training_batches(position: int, batch: int, size: int, rank: int) -> Iterator[Request]:
    """Yield the batches of `rank` among `size` from index `position` on, endlessly.

    Record i goes to rank i mod `size`, as Caffe's DataLayer shares records among solvers: `size` ranks with
    batches of `batch` read the batches that one process with `size` times `batch` reads.
    """
    while True:
        yield Request(position + rank, batch, size)
        position += batch * size


def scored_batches(total: int, batch: int, size: int, part: int) -> Iterator[Request]:
    """Yield the batches of a part of a source's records, each record in one part.

    Parts are cut at whole batches, so results do not depend on `size`; the very last batch may be smaller.
    """
    whole = -(-total // batch)
    for number in range(whole * part // size, whole * (part + 1) // size):
        yield Request(number * batch, min(batch, total - number * batch), 1)


def validation_batches(
    round_: int, total: int, batch: int, *, test_iter: int, share: Tuple[int, int]
) -> List[Request]:
    """Return a rank's batches in validation number `round_`; `share` is the rank and the number of ranks.

    As in CaffeOnSpark, a validation takes `test_iter` batches, and the next one continues where it stopped,
    around whole chunks of the source. Unlike there, the ranks share the batches.
    """
    rank, size = share
    chunk = test_iter * batch
    start = (round_ % (total // chunk)) * chunk
    return [Request(start + index * batch, batch, 1) for index in range(test_iter) if index % size == rank]

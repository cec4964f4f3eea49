"""Record ranges of ranks, for all kinds of numbers."""

from __future__ import annotations

import pytest

from jobs.trainer.sources.shards import batch_shard, batches, shard, validation_batches


@pytest.mark.parametrize("total", [0, 1, 2, 7, 100, 59_999, 60_000])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 64])
def test_ranges_cover_every_record_once_and_differ_by_one_at_most(total: int, size: int) -> None:
    ranges = [shard(total, size, rank) for rank in range(size)]

    assert [start for start, _ in ranges] == [0, *(stop for _, stop in ranges[:-1])]
    assert ranges[-1][1] == total
    lengths = [stop - start for start, stop in ranges]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("total", [0, 1, 99, 100, 101, 9_950, 10_000])
@pytest.mark.parametrize("size", [1, 2, 3, 11, 150])
def test_scored_ranges_are_whole_batches_but_for_the_very_last(total: int, size: int) -> None:
    pieces = [
        piece for rank in range(size) for piece in batches(*batch_shard(total, 100, size, rank), batch=100)
    ]

    assert [start for start, _ in pieces] == list(range(0, total, 100))
    assert sum(stop - start for start, stop in pieces) == total
    assert all(stop - start == 100 for start, stop in pieces[:-1])


@pytest.mark.parametrize("size", [1, 2, 3, 20])
def test_a_validations_batches_are_shared_and_none_is_run_twice(size: int) -> None:
    starts = sorted(
        start
        for rank in range(size)
        for start in validation_batches(3, 10_000, 100, test_iter=10, size=size, rank=rank)
    )

    assert starts == list(range(3_000, 4_000, 100))


def test_validations_go_around_whole_chunks_of_the_source() -> None:
    firsts = [validation_batches(n, 2_950, 100, test_iter=10, size=1, rank=0)[0] for n in range(5)]

    assert firsts == [0, 1_000, 0, 1_000, 0]

"""Records of ranks, for all kinds of numbers."""

from __future__ import annotations

from itertools import islice

import pytest

from jobs.trainer.sources.shards import Request, scored_batches, training_batches, validation_batches


def records(request: Request) -> list[int]:
    return [request.first + number * request.stride for number in range(request.size)]


@pytest.mark.parametrize(("size", "batch"), [(1, 4), (2, 3), (3, 1), (7, 2)])
def test_all_ranks_together_read_the_batches_of_one_process(size: int, batch: int) -> None:
    ranks = [list(islice(training_batches(11, batch, size, rank), 5)) for rank in range(size)]
    alone = islice(training_batches(11, batch * size, 1, 0), 5)

    for together, whole in zip(zip(*ranks, strict=True), alone, strict=True):
        assert sorted(record for request in together for record in records(request)) == records(whole)


def test_records_go_to_the_ranks_in_turn() -> None:
    first, second = (list(islice(training_batches(0, 2, 2, rank), 2)) for rank in (0, 1))

    assert [records(request) for request in first] == [[0, 2], [4, 6]]
    assert [records(request) for request in second] == [[1, 3], [5, 7]]


@pytest.mark.parametrize("total", [0, 1, 99, 100, 101, 9_950, 10_000])
@pytest.mark.parametrize("size", [1, 2, 3, 11, 150])
def test_scored_parts_are_whole_batches_but_for_the_very_last(total: int, size: int) -> None:
    pieces = [piece for part in range(size) for piece in scored_batches(total, 100, size, part)]

    assert [piece.first for piece in pieces] == list(range(0, total, 100))
    assert sum(piece.size for piece in pieces) == total
    assert all((piece.size, piece.stride) == (100, 1) for piece in pieces[:-1])


@pytest.mark.parametrize("size", [1, 2, 3, 20])
def test_a_validations_batches_are_shared_and_none_is_run_twice(size: int) -> None:
    batches = sorted(
        batch
        for rank in range(size)
        for batch in validation_batches(3, 10_000, 100, test_iter=10, share=(rank, size))
    )

    assert batches == [Request(first, 100, 1) for first in range(3_000, 4_000, 100)]


def test_validations_go_around_whole_chunks_of_the_source() -> None:
    firsts = [validation_batches(n, 2_950, 100, test_iter=10, share=(0, 1))[0].first for n in range(5)]

    assert firsts == [0, 1_000, 0, 1_000, 0]

"""Batches of training records."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from jobs.trainer.sources.batches import training_batches
from jobs.trainer.sources.fit import Fit
from jobs.trainer.sources.lmdb import Lmdb
from jobs.trainer.sources.transform import Transform

Make = Callable[..., Path]


def feed(source: Lmdb, start: int, stop: int, batch: int, skip: int = 0) -> Any:
    fit = Fit("TRAIN", source.shape() or (0, 0, 0), Transform())
    return training_batches(source, start, stop, batch, fit=fit, seed=1, skip=skip)


def test_batches_run_across_epochs_in_one_order(database: Make, pb: Any) -> None:
    source = Lmdb(database(10), pb.Datum)

    batches = list(islice(feed(source, 2, 7, 3), 4))

    assert [[int(i) for i in batch[2]] for batch in batches] == [[2, 3, 4], [5, 6, 2], [3, 4, 5], [6, 2, 3]]
    data, labels, _ = batches[1]
    assert data.shape == (3, 1, 2, 3)
    assert data.dtype == labels.dtype == np.float32
    assert data.flags.c_contiguous
    assert labels.tolist() == [5, 6, 2]


def test_a_resumed_run_reads_on_where_it_was(database: Make, pb: Any) -> None:
    source = Lmdb(database(10), pb.Datum)
    through = [batch[2] for batch in islice(feed(source, 0, 7, 4), 6)]

    resumed = [batch[2] for batch in islice(feed(source, 0, 7, 4, skip=4 * 4), 2)]

    assert resumed == through[4:]


def test_a_batch_may_be_larger_than_the_range(database: Make, pb: Any) -> None:
    batch = next(feed(Lmdb(database(3), pb.Datum), 1, 3, 5))

    assert [int(i) for i in batch[2]] == [1, 2, 1, 2, 1]


def test_random_crops_are_the_same_for_the_same_seed(database: Make, pb: Any) -> None:
    source = Lmdb(database(6, shape=(1, 8, 8), data=bytes(range(64))), pb.Datum)
    crop = Fit("TRAIN", (1, 3, 3), Transform(crop=3, train=True, mirror=True))

    def run(seed: int) -> np.ndarray:
        return next(training_batches(source, 0, 6, 6, fit=crop, seed=seed))[0]

    assert np.array_equal(run(5), run(5))
    assert not np.array_equal(run(5), run(6))

"""Reading real LMDB databases, and batches made of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.batches import training_batches
from jobs.trainer.sources.lmdb import Lmdb
from jobs.trainer.sources.registry import check_class
from jobs.trainer.sources.transform import Transform

Make = Callable[..., Path]


def ids(source: Lmdb, start: int, stop: int) -> list[int]:
    return [int(record.id) for record in source.read(start, stop)]


def test_records_come_in_the_order_of_their_keys(database: Make, pb: Any) -> None:
    source = Lmdb(database(25), pb.Datum)

    records = list(source.read(0, 25))

    assert [record.id for record in records] == [f"{i:08d}" for i in range(25)]
    assert [record.label for record in records] == [i % 10 for i in range(25)]
    assert records[7].pixels.shape == (1, 2, 3)
    assert np.all(records[7].pixels == 7)


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 1), (3, 9), (24, 25), (20, 99), (30, 40)])
def test_a_range_is_half_open_and_ends_with_the_database(
    database: Make, pb: Any, start: int, stop: int
) -> None:
    assert ids(Lmdb(database(25), pb.Datum), start, stop) == list(range(25))[start:stop]


def test_it_knows_its_length_its_ends_and_its_shape(database: Make, pb: Any) -> None:
    source = Lmdb(database(12, shape=(3, 4, 5)), pb.Datum)

    assert len(source) == 12
    assert source.ends() == ("00000000", "00000011")
    assert source.shape() == (3, 4, 5)


def test_an_empty_database_has_no_shape(database: Make, pb: Any) -> None:
    source = Lmdb(database(0), pb.Datum)

    assert (len(source), source.shape(), source.ends(), ids(source, 0, 5)) == (0, None, ("", ""), [])


def test_a_database_may_be_read_only_and_without_its_lock(database: Make, pb: Any) -> None:
    path = database(3)
    (path / "lock.mdb").unlink()
    (path / "data.mdb").chmod(0o400)
    path.chmod(0o500)

    assert ids(Lmdb(path, pb.Datum), 0, 3) == [0, 1, 2]
    assert not (path / "lock.mdb").exists()


def test_floats_are_read_when_there_are_no_bytes(database: Make, pb: Any) -> None:
    path = database(1, data=b"", float_data=[0.5] * 6)

    assert np.all(next(Lmdb(path, pb.Datum).read(0, 1)).pixels == 0.5)


def test_encoded_images_are_refused_by_record(database: Make, pb: Any) -> None:
    with pytest.raises(Refused, match=r"record 00000000 .*encoded"):
        list(Lmdb(database(1, encoded=True), pb.Datum).read(0, 1))


def test_a_record_of_another_size_than_it_says_is_refused(database: Make, pb: Any) -> None:
    with pytest.raises(Refused, match="has 2 values, and says 1x2x3"):
        list(Lmdb(database(1, data=b"ab"), pb.Datum).read(0, 1))


def test_a_folder_without_a_database_is_refused(tmp_path: Path, pb: Any) -> None:
    with pytest.raises(Refused, match="there is no LMDB"):
        Lmdb(tmp_path, pb.Datum)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, pb: Any) -> None:
    (tmp_path / "data.mdb").write_bytes(b"nonsense" * 4096)

    with pytest.raises(Refused, match="not a readable LMDB"):
        Lmdb(tmp_path, pb.Datum)


def test_only_caffeonsparks_lmdb_is_a_source_so_far() -> None:
    check_class("com.yahoo.ml.caffe.LMDB")
    for name in ("com.yahoo.ml.caffe.ImageDataFrame", "LMDB", ""):
        with pytest.raises(Refused):
            check_class(name)


def feed(source: Lmdb, start: int, stop: int, batch: int, skip: int = 0) -> Any:
    return training_batches(source, start, stop, batch, transform=Transform(), seed=1, skip=skip)


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
    crop = Transform(crop=3, train=True, mirror=True)

    def run(seed: int) -> np.ndarray:
        return next(training_batches(source, 0, 6, 6, transform=crop, seed=seed))[0]

    assert np.array_equal(run(5), run(5))
    assert not np.array_equal(run(5), run(6))

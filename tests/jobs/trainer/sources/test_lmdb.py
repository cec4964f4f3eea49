"""LMDB databases of Datum, read as a record source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.lmdb import Lmdb

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
    with pytest.raises(Refused, match="has 2 values, and its header has shape 1x2x3"):
        list(Lmdb(database(1, data=b"ab"), pb.Datum).read(0, 1))


def test_a_folder_without_a_database_is_refused(tmp_path: Path, pb: Any) -> None:
    with pytest.raises(Refused, match="there is no LMDB"):
        Lmdb(tmp_path, pb.Datum)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, pb: Any) -> None:
    (tmp_path / "data.mdb").write_bytes(b"nonsense" * 4096)

    with pytest.raises(Refused, match="not a readable LMDB"):
        Lmdb(tmp_path, pb.Datum)

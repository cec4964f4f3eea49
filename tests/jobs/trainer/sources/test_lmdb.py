"""LMDB databases of Datum, opened as a record source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.lmdb import Lmdb

Make = Callable[..., Path]


def test_it_knows_its_length_its_ends_and_its_shape(database: Make, pb: Any) -> None:
    source = Lmdb(database(12, shape=(3, 4, 5)), pb.Datum)

    assert len(source) == 12
    assert source.ends() == ("00000000", "00000011")
    assert source.shape() == (3, 4, 5)


def test_every_so_many_keys_begin_parts_that_together_are_all_records(database: Make, pb: Any) -> None:
    source = Lmdb(database(12), pb.Datum)

    keys = source.keys(5)

    assert keys == [b"00000000", b"00000005", b"00000010"]
    parts = [list(source.records(key, 5)) for key in keys]
    assert [len(part) for part in parts] == [5, 5, 2]
    assert [record for part in parts for record in part] == list(source.records())
    assert list(source.records(b"00000007x")) == []


def test_an_empty_database_is_refused(database: Make, pb: Any) -> None:
    source = Lmdb(database(0), pb.Datum)

    assert (len(source), source.ends()) == (0, ("", ""))
    with pytest.raises(Refused, match="no records"):
        source.shape()


def test_a_database_may_be_read_only_and_without_its_lock(database: Make, pb: Any) -> None:
    path = database(3)
    (path / "lock.mdb").unlink()
    (path / "data.mdb").chmod(0o400)
    path.chmod(0o500)

    source = Lmdb(path, pb.Datum)

    assert source.shape() == (1, 2, 3)
    assert not (path / "lock.mdb").exists()
    assert source._env.flags()["readonly"], "root may write in spite of modes"


def test_records_of_floats_have_a_shape(database: Make, pb: Any) -> None:
    assert Lmdb(database(1, data=b"", float_data=[0.5] * 6), pb.Datum).shape() == (1, 2, 3)


def test_the_shape_of_an_encoded_image_is_not_known_without_decoding_it(database: Make, pb: Any) -> None:
    assert Lmdb(database(1, encoded=True), pb.Datum).shape() is None


@pytest.mark.parametrize("fields", [{"data": b"ab"}, {"data": b""}], ids=["too few", "none"])
def test_a_record_of_another_size_than_it_says_is_refused(
    database: Make, pb: Any, fields: dict[str, bytes]
) -> None:
    with pytest.raises(Refused, match=f"has {len(fields['data'])} values, and its header has shape 1x2x3"):
        Lmdb(database(1, **fields), pb.Datum).shape()


def test_a_value_that_is_no_datum_is_refused(database: Make, pb: Any) -> None:
    class Datum:
        @staticmethod
        def FromString(_: bytes) -> None:
            raise ValueError("wire type 7")

    with pytest.raises(Refused, match=r"record 00000000 of .*it is not a Datum"):
        Lmdb(database(1), Datum).shape()


def test_a_folder_without_a_database_is_refused(tmp_path: Path, pb: Any) -> None:
    with pytest.raises(Refused, match="there is no LMDB"):
        Lmdb(tmp_path, pb.Datum)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, pb: Any) -> None:
    (tmp_path / "data.mdb").write_bytes(b"nonsense" * 4096)

    with pytest.raises(Refused, match="not a readable LMDB"):
        Lmdb(tmp_path, pb.Datum)


@pytest.mark.parametrize("kept", [0.99, 0.5, 0.1])
def test_a_truncated_database_is_refused_instead_of_read_beyond_its_end(
    database: Make, pb: Any, kept: float
) -> None:
    path = database(500, shape=(1, 28, 28))
    file = path / "data.mdb"
    # The map is larger than what is used of it: pages beyond are not part of the database.
    used = Lmdb(path, pb.Datum)
    size = (used._env.info()["last_pgno"] + 1) * used._env.stat()["psize"]
    used.close()
    with file.open("r+b") as opened:
        opened.truncate(int(size * kept))

    with pytest.raises(Refused, match=r"not a readable LMDB.*bytes of"):
        Lmdb(path, pb.Datum)

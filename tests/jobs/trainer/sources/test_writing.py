"""Databases that are written in the order of their keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import lmdb
import pytest

from jobs.trainer.errors import TrainerError
from jobs.trainer.sources import writing
from jobs.trainer.sources.samples import key_of


def content(path: Path) -> list[tuple[bytes, bytes]]:
    with lmdb.open(str(path), readonly=True, lock=False) as env, env.begin() as transaction:
        return list(transaction.cursor())


def test_records_are_there_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_BATCH", 100)
    records = [(key_of(number, "id"), bytes([number])) for number in range(250)]

    writing.write(iter(records), tmp_path / "db")

    assert content(tmp_path / "db") == records


def test_eight_mebibytes_wait_in_memory_before_they_are_written(tmp_path: Path) -> None:
    with closing(writing._Writer(tmp_path / "db")) as writer:

        def stored(*sizes: int) -> int:
            for size in sizes:
                writer.put(b"%04d" % next(number), bytes(size))
            return int(writer._env.stat()["entries"])

        number = count()
        assert stored(*[1 << 20] * 7, (1 << 20) - 1) == 0
        assert stored(1) == 9
        assert stored((8 << 20) - 1) == 9
        assert stored(1) == 11
        assert not writer._env.flags()["sync"], "the disk is waited for once, at the end"
        writer.put(b"9", b"left")
        writer.finish()
        assert stored() == 12
    assert [file.name for file in (tmp_path / "db").iterdir()] == ["data.mdb"]


def test_a_database_grows_beyond_its_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_FIRST_MAP", 1 << 16)
    monkeypatch.setattr(writing, "_BATCH", 1 << 14)
    records = [(key_of(number, ""), os.urandom(5000)) for number in range(200)]

    writing.write(iter(records), tmp_path / "db")

    assert content(tmp_path / "db") == records


def test_a_value_may_be_larger_than_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_FIRST_MAP", 1 << 16)

    writing.write([(b"0", bytes(10 << 20))], tmp_path / "db")

    assert [len(value) for _, value in content(tmp_path / "db")] == [10 << 20]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("a file")

    with pytest.raises(TrainerError, match="cannot be written") as failed:
        writing.write([(b"0", b"x")], tmp_path / "db")
    assert failed.value.code == "conversion-not-written"


def test_a_failure_of_the_source_is_not_the_disks(tmp_path: Path) -> None:
    def records() -> Iterator[tuple[bytes, bytes]]:
        yield b"0", b"x"
        raise ConnectionResetError("Spark")

    with pytest.raises(ConnectionResetError):
        writing.write(records(), tmp_path / "db")

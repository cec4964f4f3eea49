"""Records of databases as rows, in ranges of keys; and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.converters import databases
from jobs.converters.databases import Range, ranges
from jobs.converters.records import Record, record
from jobs.trainer.errors import Refused
from jobs.trainer.sources.datum import image
from jobs.trainer.sources.samples import Context, Sample
from jobs.trainer.sources.samples import record as datum_of

Database = Callable[..., Path]


class Nodes:
    """Distribution of what lies on this machine."""

    def add(self, uri: str, *, folder: bool) -> str:
        assert folder
        return uri


def test_pixels_become_interleaved_and_planar_again(pb: Any) -> None:
    planar = bytes(range(12))
    value = pb.Datum(channels=3, height=2, width=2, label=7, data=planar).SerializeToString()

    row = record("k", value, "u")

    assert row == Record("k", "7", 3, 2, 2, False, bytes([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]))
    _, back = datum_of(Sample(*row), 0, Context("u", (0, 0, 0), pb.Datum))
    assert back == value


def test_an_encoded_image_stays_as_it_is(pb: Any) -> None:
    assert record("k", image(3, b"jpeg"), "u") == Record("k", "3", 0, 0, 0, True, b"jpeg")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"channels": 1, "height": 2, "width": 2, "data": b"abc"}, "it has 3 values"),
        ({"channels": 1, "height": 1, "width": 2, "float_data": [1.0, 2.0]}, "it has float_data"),
        ({}, "it has 0 values"),
    ],
)
def test_a_record_that_has_no_row_is_named(pb: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as refused:
        record("k9", pb.Datum(**fields).SerializeToString(), "hdfs:///l")
    assert "record k9 of hdfs:///l" in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize("partitions", [0, 1, 3, 10, 99])
def test_ranges_have_each_record_once_in_order(database: Database, partitions: int) -> None:
    parts, total = ranges(Nodes(), f"file:{database(10)}", partitions)  # type: ignore[arg-type]

    assert total == 10
    assert len(parts) <= max(1, partitions)
    assert [row.id for part in parts for row in part.records()] == [f"{i:08d}" for i in range(10)]


def test_an_empty_database_has_no_range(database: Database) -> None:
    assert ranges(Nodes(), f"file:{database(0)}", 0) == ([], 0)  # type: ignore[arg-type]


def test_a_key_that_is_gone_gives_nothing(database: Database) -> None:
    assert list(Range(f"file:{database(2)}", b"nosuch", 2, "u").records()) == []


def test_a_database_is_written_whole(tmp_path: Path, database: Database) -> None:
    (tmp_path / "scratch").mkdir()
    databases.store(
        [(b"1", image(1, b"x")), (b"2", image(2, b"y"))], f"file:{tmp_path}/out/", tmp_path / "scratch"
    )

    parts, total = ranges(Nodes(), f"file:{tmp_path}/out", 0)  # type: ignore[arg-type]
    assert (total, [row.label for row in parts[0].records()]) == (2, ["1", "2"])
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["data.mdb"]

"""Databases with a column each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.parallel import ParallelLmdbs


def test_databases_are_one_source_in_the_order_of_their_numbers(
    tmp_path: Path, pb: Any, database: Callable[..., Path]
) -> None:
    (tmp_path / "columns").mkdir()
    for number in (10, 2, 0):
        database(3, f"columns/{number}")

    with closing(ParallelLmdbs(tmp_path / "columns", pb.Datum)) as source:
        assert len(source) == 3
        assert [path.name for path in source.paths] == ["0", "2", "10"]
        assert source.ends() == ("00000000", "00000002")
        assert source.shape() is None


def test_one_column_is_a_source_too(tmp_path: Path, pb: Any, database: Callable[..., Path]) -> None:
    (tmp_path / "columns").mkdir()
    database(3, "columns/0")

    with closing(ParallelLmdbs(tmp_path / "columns", pb.Datum)) as source:
        assert (len(source), source.ends()) == (3, ("00000000", "00000002"))


def test_databases_of_different_length_are_refused_and_closed(
    tmp_path: Path, pb: Any, database: Callable[..., Path]
) -> None:
    (tmp_path / "columns").mkdir()
    database(3, "columns/0")
    database(2, "columns/1")

    for _ in range(2):  # a database that was left open could not be opened again
        with pytest.raises(Refused, match="its columns have 2 and 3 records"):
            ParallelLmdbs(tmp_path / "columns", pb.Datum)


def test_a_folder_without_databases_is_refused(tmp_path: Path, pb: Any) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(Refused, match="there is no LMDB"):
            ParallelLmdbs(path, pb.Datum)

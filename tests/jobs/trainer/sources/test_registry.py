"""Record sources by the source_class of a data layer."""

from __future__ import annotations

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.registry import check_class, marker, own_ids

PREFIX = "com.yahoo.ml.caffe."


@pytest.mark.parametrize("name", ["LMDB", "SeqImageDataSource", "ImageDataFrame", "DataFrameSource"])
def test_caffeonsparks_sources_are_sources(name: str) -> None:
    check_class(PREFIX + name)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("DataFrameSource", "source-class-unknown"),
        ("LMDB", "source-class-unknown"),
        ("", "source-class-unknown"),
    ],
)
def test_other_classes_are_refused_with_those_that_there_are(name: str, code: str) -> None:
    with pytest.raises(Refused, match=f"{PREFIX}LMDB, {PREFIX}SeqImageDataSource, {PREFIX}Image") as refused:
        check_class(name)
    assert refused.value.code == code


def test_storage_is_asked_for_a_database_or_for_the_source_itself() -> None:
    assert [marker(PREFIX + name) for name in ("LMDB", "ImageDataFrame")] == ["data.mdb", ""]


def test_ids_are_keys_of_an_lmdb_and_the_sources_own_elsewhere() -> None:
    keys = ["0000000000/a/b.jpg", "0000000001/"]

    assert own_ids(PREFIX + "LMDB", keys) == keys
    assert own_ids(PREFIX + "SeqImageDataSource", keys) == ["a/b.jpg", ""]
    assert own_ids(PREFIX + "ImageDataFrame", keys) == ["a/b.jpg", ""]

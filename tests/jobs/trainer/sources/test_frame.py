"""Samples of a DataFrame's rows."""

from __future__ import annotations

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.frame import known, samples
from jobs.trainer.sources.samples import Sample

ALL = ["data", "id", "channels", "height", "width", "encoded", "label", "more"]


def test_columns_are_found_by_name_in_any_order() -> None:
    rows = [(b"x", "a", 3, 4, 5, True, "7", "unused")]

    assert list(samples(rows, ALL, encoded=False)) == [Sample("a", "7", 3, 4, 5, True, b"x")]


@pytest.mark.parametrize("encoded", [True, False])
def test_without_optional_columns_the_layer_says_whether_images_are_encoded(encoded: bool) -> None:
    assert list(samples([("1", b"x")], ["label", "data"], encoded=encoded)) == [
        Sample(None, "1", None, None, None, encoded, b"x")
    ]


def test_a_row_that_leaves_open_whether_it_is_encoded_is_what_the_layer_says() -> None:
    rows = [("1", b"x", None), ("1", b"x", False)]

    found = samples(rows, ["label", "data", "encoded"], encoded=True)
    assert [one.encoded for one in found] == [True, False]


def test_a_frame_needs_labels_and_data() -> None:
    with pytest.raises(Refused, match="hdfs://h/f: it has no column data, but Label, image"):
        known(["Label", "image"], "hdfs://h/f")


def test_the_case_of_a_columns_name_does_not_count_as_for_spark() -> None:
    assert known(["ID", "Label", "data", "Encoded", "More"], "u") == (
        "id",
        "label",
        "data",
        "encoded",
        "More",
    )


@pytest.mark.parametrize("again", ["data", "DATA"])
def test_two_columns_of_one_name_are_refused(again: str) -> None:
    with pytest.raises(Refused, match=f"hdfs://h/f: its columns data, {again} have one name"):
        known(["label", "data", again], "hdfs://h/f")

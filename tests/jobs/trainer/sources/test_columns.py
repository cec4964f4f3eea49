"""Rows of a DataFrame as the Datums of a CoSData layer's tops."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.columns import Column, records
from jobs.trainer.sources.samples import Context

ONE = (1, 1, 1)


def datum(pb: Any, value: Any, kind: str, shape: tuple[int, int, int] = ONE) -> Any:
    context = Context("hdfs://h/frame", ONE, pb.Datum)
    [(_, [only])] = records([("r7", value)], ["id", "a"], [Column("a", kind, shape)], context)
    return pb.Datum.FromString(only)


@pytest.mark.parametrize(
    ("kind", "value", "floats"),
    [
        ("STRING", "7", [7]),
        ("STRING", " -1.5e1f\n", [-15]),
        ("STRING", ".5", [0.5]),
        ("STRING", bytearray(b"3"), [3]),
        ("STRING", "0" * 5000 + "7", [7]),
        ("STRING", "-16777216", [-(2**24)]),
        ("STRING", "16777217.0", [2**24]),
        ("STRING", "3e9", [3e9]),
        ("INT", 7, [7]),
        ("FLOAT", 0.25, [0.25]),
        ("FLOAT", 3, [3]),
        ("INT_ARRAY", [1, 2, 3], [1, 2, 3, 0]),
        ("FLOAT_ARRAY", [0.5, 1.0, 1.5, 2.0], [0.5, 1, 1.5, 2]),
        ("FLOAT_ARRAY", [], [0, 0, 0, 0]),
    ],
)
def test_numbers_become_floats_and_short_arrays_end_in_zeros(
    pb: Any, kind: str, value: Any, floats: list[float]
) -> None:
    shape = (2, 1, 2) if kind.endswith("ARRAY") else ONE

    made = datum(pb, value, kind, shape)

    assert list(made.float_data) == floats
    assert (made.channels, made.height, made.width, made.data) == (*shape, b"")


def test_raw_pixels_by_row_column_and_channel_are_stored_by_channel(pb: Any) -> None:
    made = datum(pb, b"rgbRGB", "RAW_IMAGE", (3, 1, 2))

    assert (made.data, made.channels, made.height, made.width) == (b"rRgGbB", 3, 1, 2)
    assert not made.encoded


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("ENCODED_IMAGE", bytearray(b"\x89PNG")),
        ("ENCODED_IMAGE_WITH_DIM", {"image": b"\x89PNG", "height": 2, "width": 3}),
        ("ENCODED_IMAGE_WITH_DIM", {"height": 2, "width": 3, "image": [-119, 80, 78, 71]}),
        ("ENCODED_IMAGE", [137, 80, 78, 71]),
    ],
)
def test_image_files_are_stored_as_they_are(pb: Any, kind: str, value: Any) -> None:
    made = datum(pb, value, kind, (3, 8, 8))

    assert (made.encoded, made.data) == (True, b"\x89PNG")


@pytest.mark.parametrize(("number", "byte"), [(-128, b"\x80"), (-1, b"\xff"), (0, b"\0"), (255, b"\xff")])
def test_bytes_of_java_are_signed_and_those_of_python_are_not(pb: Any, number: int, byte: bytes) -> None:
    assert datum(pb, [1, number], "ENCODED_IMAGE").data == b"\x01" + byte


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("STRING", None, 'column "a" is null, and its top takes a text of a number'),
        ("STRING", "seven", "is 'seven'"),
        ("STRING", "NaN", "is 'NaN'"),
        ("STRING", "1_0", "is '1_0'"),
        ("STRING", 7, "is 7, and its top takes a text"),
        ("STRING", "1e39", "not finite"),
        ("STRING", "16777217", "is '16777217', which has a number that is not finite, or a whole one"),
        ("STRING", " -0016777217f ", "a whole one that a float of 32 bits does not hold"),
        ("STRING", "9" * 5000, "not finite"),
        ("FLOAT", Decimal("1.5"), r"is Decimal\('1.5'\), and its top takes a number .float, double, int or"),
        ("INT", None, "is null, and its top takes a whole number"),
        ("INT", True, "is True"),
        ("INT", 2**24 + 1, "is 16777217, which has a number that is not finite, or a whole one"),
        ("FLOAT", float("nan"), "is nan, which has a number that is not finite"),
        ("INT_ARRAY", None, "is null, and its top takes an array of whole numbers"),
        ("INT_ARRAY", [1, None], r"is \[1, None\]"),
        ("INT_ARRAY", [1.5], r"is \[1.5\]"),
        ("INT_ARRAY", [1] * 5, 'column "a" has 5 values, and its top takes 4'),
        ("RAW_IMAGE", b"abc", 'column "a" has 3 bytes, and its top is 1x2x2'),
        ("RAW_IMAGE", None, "is null, and its top takes bytes of pixels"),
        ("ENCODED_IMAGE", "text", "is 'text', and its top takes bytes of an image file"),
        ("ENCODED_IMAGE", b"", "is b''"),
        ("ENCODED_IMAGE", [1, -129], r"is \[1, -129\], and its top takes bytes"),
        ("ENCODED_IMAGE", [1, 256], r"is \[1, 256\], and its top takes bytes"),
        ("ENCODED_IMAGE_WITH_DIM", b"\x89PNG", "takes a struct of image, height and width"),
        ("ENCODED_IMAGE_WITH_DIM", {"height": 1}, "takes a struct"),
        ("ENCODED_IMAGE_WITH_DIM", None, "is null"),
    ],
)
def test_a_value_that_a_top_does_not_take_is_refused_with_its_record(
    pb: Any, kind: str, value: Any, words: str
) -> None:
    shape = (1, 2, 2) if kind.endswith(("ARRAY", "IMAGE", "DIM")) else ONE

    with pytest.raises(Refused, match=f"record 0000000000/r7 of hdfs://h/frame: its .*{words}"):
        datum(pb, value, kind, shape)


def test_columns_are_found_by_name_in_any_case_and_a_frame_without_ids_has_empty_ones(pb: Any) -> None:
    context = Context("u", ONE, pb.Datum)
    wanted = [Column("b", "INT", ONE), Column("A", "INT", ONE)]

    [(key, values)] = records([(1, 2, 3)], ["a", "A", "B"], wanted, context)

    assert key == b"0000000000/"
    assert [list(pb.Datum.FromString(one).float_data) for one in values] == [[3], [2]]


@pytest.mark.parametrize("names", [["id", "x"], ["aA", "Aa"]])
def test_a_frame_without_a_tops_column_is_refused_by_name(pb: Any, names: list[str]) -> None:
    wanted = [Column("AA", "INT", ONE)]

    with pytest.raises(Refused, match="u: it has no column AA for a top of cos_data_param"):
        next(records([], names, wanted, Context("u", ONE, pb.Datum)))

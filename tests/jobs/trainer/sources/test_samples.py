"""Samples as records of an LMDB."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources.samples import MOST_ID, Context, Sample, id_of, key_of, planar, record

GREY = Sample("a", "7", 1, 2, 3, False, bytes(range(6)))


@pytest.fixture
def context(pb: Any) -> Context:
    return Context("hdfs://h/s", (1, 2, 3), pb.Datum)


def datum(sample: Sample, context: Context) -> Any:
    return context.datum.FromString(record(sample, 0, context)[1])


def test_keys_sort_by_position_whatever_the_ids() -> None:
    keys = [key_of(position, id_) for position, id_ in enumerate(["z", "a", "", "~"] * 30)]

    assert keys == sorted(keys)
    assert len({key[:11] for key in keys}) == len(keys)


@pytest.mark.parametrize("id_", ["cat.jpg", "", "a/b/c.jpg", "größe", "x" * MOST_ID])
def test_a_key_gives_the_id_back(id_: str, context: Context) -> None:
    key, _ = record(GREY._replace(id=id_), 12, context)

    assert id_of(key.decode()) == id_
    assert len(key) <= 511


def test_ids_that_are_no_texts_become_some(context: Context) -> None:
    assert [id_of(record(GREY._replace(id=one), 0, context)[0].decode()) for one in (12, None)] == ["12", ""]
    for text in (b"a\xc3\xbc", bytearray(b"a\xc3\xbc")):
        assert id_of(record(GREY._replace(id=text), 0, context)[0].decode()) == "aü", (
            "of some writers of Parquet"
        )


def test_a_raw_record_has_its_pixels_label_and_shape(context: Context) -> None:
    made = datum(GREY, context)

    assert (made.channels, made.height, made.width, made.label) == (1, 2, 3, 7)
    assert made.data == bytes(range(6))
    assert not made.encoded


def test_pixels_of_several_channels_change_from_opencvs_order_to_caffes(context: Context) -> None:
    # Two rows of three pixels of blue, green and red.
    pixels = b"".join(bytes([pixel, 100 + pixel, 200 + pixel]) for pixel in range(6))
    made = datum(GREY._replace(channels=3, data=bytearray(pixels)), context)

    assert made.data == bytes(range(6)) + bytes(range(100, 106)) + bytes(range(200, 206))


@pytest.mark.parametrize(("channels", "planes"), [(1, b"abcdef"), (2, b"acebdf"), (3, b"adbecf")])
def test_pixels_of_one_row_are_split_by_channel(channels: int, planes: bytes) -> None:
    assert planar(b"abcdef", (channels, 1, 6 // channels)) == planes


def test_floats_by_row_column_and_channel_are_stored_by_channel(context: Context) -> None:
    array = np.arange(12, dtype=np.float64).reshape(1, 3, 4)

    made = datum(GREY._replace(data=array), context)

    assert (made.channels, made.height, made.width, made.label) == (4, 1, 3, 7)
    assert list(made.float_data) == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]


def test_the_first_float_that_caffe_does_not_hold_is_named(context: Context) -> None:
    array = np.zeros((2, 2, 2))
    array[1, 0, 0], array[0, 1, 1] = 1e300, np.inf  # the first channel's comes first

    with pytest.raises(Refused, match=r"its image has the value 1e\+300, which is"):
        record(GREY._replace(data=array), 0, context)


def test_an_image_is_kept_as_its_file(context: Context) -> None:
    made = datum(GREY._replace(encoded=True, data=b"\xff\xd8...", channels=9, height=9, width=9), context)

    assert (made.encoded, made.data, made.label) == (True, b"\xff\xd8...", 7)


@pytest.mark.parametrize("absent", [None, 0])
def test_sides_that_the_source_does_not_tell_are_the_layers(context: Context, absent: Any) -> None:
    made = datum(GREY._replace(channels=absent, height=absent, width=absent), context)

    assert (made.channels, made.height, made.width) == (1, 2, 3)


def test_a_text_is_its_bytes(context: Context) -> None:
    assert datum(GREY._replace(data="abcdef"), context).data == b"abcdef"


@pytest.mark.parametrize(
    ("given", "label"),
    [("3", 3), ("+3", 3), ("-1", -1), (5, 5), (2**31 - 1, 2**31 - 1), ("007", 7), ("0" * 5000 + "7", 7)],
)
def test_labels_are_whole_numbers_or_their_texts(context: Context, given: Any, label: int) -> None:
    assert datum(GREY._replace(label=given), context).label == label


@pytest.mark.parametrize(
    "label", ["", " 3", "3.0", "cat", "1_000", "٣", 3.0, None, True, 2**31, "2147483648", b"3", "9" * 5000]
)
def test_what_is_no_whole_number_is_refused_as_a_label_with_its_record(context: Context, label: Any) -> None:
    with pytest.raises(Refused, match=r"record 0000000007/a of hdfs://h/s: its label is") as refused:
        record(GREY._replace(label=label), 7, context)
    assert refused.value.code == "record-label-invalid"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": None}, "it has no data"),
        ({"data": b""}, "it has no data"),
        ({"data": 5}, "its data are a int, neither binary nor text"),
        ({"data": [1, 2]}, "its data are a list, neither binary nor text"),
        ({"height": True, "width": 6}, "6 values, and its header has shape 1xTruex6"),
        ({"id": 1.5}, "record 7 of .*: its id is a float, neither text nor a whole number"),
        ({"id": True}, "its id is a bool"),
        ({"data": b"12345"}, "it has 5 values, and its header has shape 1x2x3"),
        ({"channels": -1, "height": -2}, "6 values, and its header has shape -1x-2x3"),
        ({"height": "2"}, "6 values, and its header has shape 1x2x3"),
        ({"encoded": None}, "encoded is None, neither true nor false"),
        ({"id": "x" * (MOST_ID + 1)}, "record 7 of .*: its id has more than 500 bytes"),
        ({"id": "ü" * 251}, "record 7 of .*: its id has more than 500 bytes"),
    ],
)
def test_what_is_no_sample_is_refused_with_its_record(
    context: Context, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        record(GREY._replace(**changes), 7, context)

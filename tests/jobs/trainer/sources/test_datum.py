"""Caffe's Datum without protobuf, against protobuf's own bytes."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.trainer.sources.datum import image, parse


@pytest.mark.parametrize("label", [0, 1, 127, 128, 2**31 - 1, -1, -(2**31)])
@pytest.mark.parametrize("size", [1, 127, 128, 70_000])
def test_an_encoded_image_is_what_protobuf_reads(pb: Any, label: int, size: int) -> None:
    read = pb.Datum.FromString(image(label, b"x" * size))
    assert (read.label, read.encoded, read.data) == (label, True, b"x" * size)
    assert parse(image(label, b"x" * size))[3:6] == (label, True, b"x" * size)


@pytest.mark.parametrize("label", [0, 300, -1, -(2**31)])
def test_pixels_and_floats_are_read(pb: Any, label: int) -> None:
    raw = pb.Datum(channels=3, height=2, width=200, label=label, data=bytes(1200)).SerializeToString()
    floats = pb.Datum(channels=1, height=1, width=2, float_data=[1.0, 2.0]).SerializeToString()

    assert parse(raw) == (3, 2, 200, label, False, bytes(1200), False)
    assert parse(floats) == (1, 1, 2, 0, False, b"", True)


def test_what_is_left_out_is_zero_and_fields_of_a_newer_datum_are_passed_over(pb: Any) -> None:
    newer = b"\x79" + bytes(8) + b"\x7d" + bytes(4) + b"\x82\x01\x02xy" + b"\x88\x01\x05"

    assert parse(b"") == (0, 0, 0, 0, False, b"", False)
    assert parse(newer + image(3, b"x")) == (0, 0, 0, 3, True, b"x", False)


@pytest.mark.parametrize("message", [b"\x22\x05abc", b"\x08", b"\x0b", b"\x08" + b"\xff" * 12, b"\x35\x00"])
def test_what_is_not_a_datum_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="it is"):
        parse(message)

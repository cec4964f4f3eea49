"""Caffe's Datum without protobuf: the messages that data sets are written and looked at with.

Source: `message Datum` of caffe.proto. Data sets are put on heads that may have no Caffe yet.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MORE = 0x80
"""Bit of all bytes of a varint but the last."""
_CHANNELS, _HEIGHT, _WIDTH, _DATA, _LABEL, _FLOATS, _ENCODED = range(1, 8)


class Datum(NamedTuple):
    """A record: pixels by channel, row and column, or an encoded image."""

    channels: int
    height: int
    width: int
    label: int
    encoded: bool
    data: bytes
    floats: bool
    """It has float_data instead of data."""


def image(label: int, data: bytes) -> bytes:
    """Return a serialised Datum of an encoded image."""
    return b"".join(
        (
            bytes((_DATA << 3 | _BYTES,)),
            _varint(len(data)),
            data,
            bytes((_LABEL << 3 | _VARINT,)),
            _varint(label & 0xFFFFFFFFFFFFFFFF),
            bytes((_ENCODED << 3 | _VARINT, 1)),
        )
    )


def parse(message: bytes) -> Datum:
    """Read a serialised Datum.

    Raises:
        ValueError: it is not one.
    """
    numbers, data, floats, at = {}, b"", False, 0
    while at < len(message):
        tag, at = _number(message, at)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            numbers[field], at = _number(message, at)
            continue
        if kind == _BYTES:
            size, at = _number(message, at)
        elif kind in {_FIXED32, _FIXED64}:
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError("it is not a Datum")
        if at + size > len(message):
            raise ValueError("it is cut off")
        if field == _DATA and kind == _BYTES:
            data = message[at : at + size]
        floats = floats or field == _FLOATS
        at += size
    label = numbers.get(_LABEL, 0) & 0xFFFFFFFF
    return Datum(
        numbers.get(_CHANNELS, 0),
        numbers.get(_HEIGHT, 0),
        numbers.get(_WIDTH, 0),
        label - (label >> 31 << 32),
        bool(numbers.get(_ENCODED)),
        data,
        floats,
    )


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= _MORE:
        out.append(value & _MORE - 1 | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(message: bytes, at: int) -> Tuple[int, int]:
    """Return a varint, and the position after it."""
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:  # noqa: PLR2004 - bits of the longest one
            raise ValueError("it is cut off")
        byte = message[at]
        at += 1
        value |= (byte & _MORE - 1) << shift
        if byte < _MORE:
            return value, at
        shift += 7

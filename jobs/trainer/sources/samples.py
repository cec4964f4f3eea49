"""Samples of sources that are converted to an LMDB of Caffe's Datum, as CaffeOnSpark's sources have them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional, Tuple

import numpy as np

from jobs.trainer.errors import Refused
from jobs.trainer.shapes import in_words

SEPARATOR = "/"
"""Between position and id in a key."""
MOST_ID = 500
"""Bytes of an id: LMDB's keys have at most 511."""
_INT = re.compile(r"([+-]?)0*([0-9]{1,10})")
"""Without zeros at its start: Python bounds the digits of a text."""
_LABELS = range(-(2**31), 2**31)


class Sample(NamedTuple):
    """A sample as its source gives it: nothing is checked yet."""

    id: Any
    label: Any
    channels: Any
    """As `height` and `width`: None or 0 where the source does not tell."""
    height: Any
    width: Any
    encoded: Any
    data: Any
    """Bytes: an image file, or pixels by row, column and then channel, as OpenCV has them. Or floats in that
    order, as an array."""


class Context(NamedTuple):
    """Source of samples, and the layer that they are for."""

    uri: str
    shape: Tuple[int, int, int]
    """Of the layer: (channels, height, width) of raw pixels whose source does not tell."""
    datum: Any
    """caffe_pb2.Datum, or a stand-in of tests."""


def key_of(position: int, id_: str) -> bytes:
    """Return the key of a sample: keys sort by position."""
    return "{:010d}{}{}".format(position, SEPARATOR, id_).encode("utf-8", "backslashreplace")


def key_for(value: Any, position: int, uri: str) -> bytes:  # noqa: ANN401
    """Return the key of the sample at a position, of the id that its source gives.

    Raises:
        Refused: it is not a valid id.
    """
    id_ = _id(value)
    if id_ is None:
        reason = "its id is a {}, neither text nor a whole number".format(type(value).__name__)
        raise Refused("record-unreadable", reason=reason, key=str(position), path=uri)
    if len(id_.encode("utf-8", "backslashreplace")) > MOST_ID:
        raise Refused("record-id-too-long", most=MOST_ID, key=str(position), path=uri)
    return key_of(position, id_)


def id_of(key: str) -> str:
    """Return the id in a key of `key_of`."""
    return key.partition(SEPARATOR)[2]


def record(sample: Sample, position: int, context: Context) -> Tuple[bytes, bytes]:
    """Return a sample's key, and its serialised Datum.

    Raises:
        Refused: it is not a valid sample; the record is named by its position and id.
    """
    key = key_for(sample.id, position, context.uri)
    where = {"key": key.decode(), "path": context.uri}
    label = _label(sample.label)
    if label is None:
        raise Refused("record-label-invalid", label=repr(sample.label), **where)
    if isinstance(sample.data, np.ndarray):
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(sample.data.transpose(2, 0, 1), np.float32)
        wrong = sample.data.transpose(2, 0, 1)[~np.isfinite(values)]
        if wrong.size:
            raise Refused("record-image-not-finite", value=str(wrong[0]), **where)
        channels, height, width = values.shape
        sides = {"channels": channels, "height": height, "width": width}
        return key, context.datum(
            label=label, float_data=values.ravel().tolist(), **sides
        ).SerializeToString()
    data = sample.data.encode() if isinstance(sample.data, str) else sample.data
    if data is not None and not isinstance(data, (bytes, bytearray)):
        reason = "its data are a {}, neither binary nor text".format(type(data).__name__)
        raise Refused("record-unreadable", reason=reason, **where)
    if not data:
        raise Refused("record-unreadable", reason="it has no data", **where)
    if not isinstance(sample.encoded, bool):
        reason = "encoded is {!r}, neither true nor false".format(sample.encoded)
        raise Refused("record-unreadable", reason=reason, **where)
    if sample.encoded:
        return key, context.datum(label=label, encoded=True, data=bytes(data)).SerializeToString()
    shape = _shape(sample, context.shape)
    text = in_words(shape)
    if not all(isinstance(side, int) and not isinstance(side, bool) and side >= 1 for side in shape):
        raise Refused("record-size-invalid", values=len(data), shape=text, **where)
    channels, height, width = shape
    if len(data) != channels * height * width:
        raise Refused("record-size-invalid", values=len(data), shape=text, **where)
    pixels = planar(bytes(data), shape)
    made = context.datum(channels=channels, height=height, width=width, label=label, data=pixels)
    return key, made.SerializeToString()


def planar(data: bytes, shape: Tuple[int, int, int]) -> bytes:
    """Return pixels by row, column and channel as Caffe has them: by channel, row and column."""
    channels, height, width = shape
    if channels == 1:
        return data
    pixels = np.frombuffer(data, np.uint8).reshape(height, width, channels)
    return bytes(pixels.transpose(2, 0, 1).tobytes())


def _id(given: Any) -> Optional[str]:  # noqa: ANN401
    """Return an id as text, None where it is none; texts of some writers of Parquet are binary."""
    if given is None:
        return ""
    if isinstance(given, (bytes, bytearray)):
        return bytes(given).decode("utf-8", "backslashreplace")
    return str(given) if isinstance(given, (str, int)) and not isinstance(given, bool) else None


def _label(given: Any) -> Any:  # noqa: ANN401
    """Return a label as an int of 32 bits, None where it is none; texts as Java reads them."""
    number = _INT.fullmatch(given) if isinstance(given, str) else None
    if number:
        given = int(number[1] + number[2])
    return given if isinstance(given, int) and not isinstance(given, bool) and given in _LABELS else None


def _shape(sample: Sample, layer: Tuple[int, int, int]) -> Tuple[Any, Any, Any]:
    channels, height, width = (
        side if given is None or given == 0 else given
        for given, side in zip((sample.channels, sample.height, sample.width), layer)
    )
    return channels, height, width

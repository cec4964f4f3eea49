"""Samples of DataFrameSource: rows of a DataFrame, with a Datum for each top of a CoSData layer."""

from __future__ import annotations

import re
from typing import Any, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from jobs.trainer.errors import Refused
from jobs.trainer.shapes import in_words
from jobs.trainer.sources.samples import Context, key_for, planar

ID = "id"
ENCODED, WITH_DIM = ("ENCODED_IMAGE", "ENCODED_IMAGE_WITH_DIM"), "ENCODED_IMAGE_WITH_DIM"
IMAGES = (*ENCODED, "RAW_IMAGE")
ARRAYS = ("INT_ARRAY", "FLOAT_ARRAY")
_TAKES = {
    "STRING": "a text of a number, as Java's toFloat reads it",
    "INT": "a whole number (int or bigint)",
    "FLOAT": "a number (float, double, int or bigint)",
    "INT_ARRAY": "an array of whole numbers (int or bigint)",
    "FLOAT_ARRAY": "an array of numbers (float, double, int or bigint)",
    "RAW_IMAGE": "bytes of pixels",
    "ENCODED_IMAGE": "bytes of an image file",
    "ENCODED_IMAGE_WITH_DIM": "a struct of image, height and width, where image has the bytes of a file",
}
"""Values by type of top."""
_JAVA_FLOAT = re.compile(
    r"[\x00-\x20]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[fFdD]?[\x00-\x20]*"
)
_WHOLE = re.compile(r"([+-]?)0*([0-9]{1,39})")
"""Text of a whole number, not beyond the digits of the largest float."""
_LONGEST = 40
"""Characters of a value in a message."""


class Column(NamedTuple):
    """Column of a DataFrame, as a top of a CoSData layer takes it."""

    name: str
    kind: str
    """Name of the type."""
    shape: Tuple[int, int, int]
    """(channels, height, width) of a record, before it is transformed."""


def places(columns: Sequence[str], wanted: Iterable[Column], uri: str) -> Tuple[List[int], Optional[int]]:
    """Return the places of the wanted columns in a frame, and that of the ids where there are any.

    As for Spark, case does not count, unless there are columns that differ by it alone.

    Raises:
        Refused: one is missing.
    """
    found = [(column.name, _place(columns, column.name)) for column in wanted]
    missing = [name for name, place in found if place is None]
    if missing:
        raise Refused("column-missing", uri=uri, missing=", ".join(missing), columns=", ".join(columns))
    return [place for _, place in found if place is not None], _place(columns, ID)


def _place(columns: Sequence[str], name: str) -> Optional[int]:
    if name in columns:
        return columns.index(name)
    same = [place for place, column in enumerate(columns) if column.lower() == name.lower()]
    return same[0] if len(same) == 1 else None


def records(
    rows: Iterable[Sequence[Any]], names: Sequence[str], columns: Sequence[Column], context: Context
) -> Iterator[Tuple[bytes, List[bytes]]]:
    """Yield each row's key, and a serialised Datum for each column; `names` are those of the frame.

    Raises:
        Refused: a column is missing, or has a value that its top does not take.
    """
    chosen, id_place = places(names, columns, context.uri)
    for position, row in enumerate(rows):
        key = key_for(row[id_place] if id_place is not None else None, position, context.uri)
        yield key, [_datum(row[place], column, key, context) for place, column in zip(chosen, columns)]


def _datum(value: Any, column: Column, key: bytes, context: Context) -> bytes:  # noqa: ANN401
    where = {"key": key.decode(), "path": context.uri, "column": column.name}
    channels, height, width = column.shape
    if column.kind in IMAGES:
        data = _bytes(value, column.kind)
        if not data:
            raise Refused("record-value-invalid", value=_shown(value), takes=_TAKES[column.kind], **where)
        if column.kind in ENCODED:
            return bytes(context.datum(encoded=True, data=data).SerializeToString())
        if len(data) != channels * height * width:
            shape = in_words(column.shape)
            raise Refused("record-pixels-differ", values=len(data), shape=shape, **where)
        made = context.datum(channels=channels, height=height, width=width, data=planar(data, column.shape))
        return bytes(made.SerializeToString())
    numbers = _numbers(value, column.kind)
    if numbers is None:
        raise Refused("record-value-invalid", value=_shown(value), takes=_TAKES[column.kind], **where)
    floats = _floats(numbers)
    if floats is None:
        raise Refused("record-value-inexact", value=_shown(value), **where)
    size = channels * height * width
    if len(floats) > size:
        raise Refused("record-array-too-long", count=len(floats), most=size, **where)
    padded = np.zeros(size, np.float32)
    padded[: len(floats)] = floats
    made = context.datum(channels=channels, height=height, width=width, float_data=padded.tolist())
    return bytes(made.SerializeToString())


def _shown(value: Any) -> str:  # noqa: ANN401
    text = "null" if value is None else repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _bytes(value: Any, kind: str) -> Optional[bytes]:  # noqa: ANN401
    """Return an image's bytes, which CaffeOnSpark's converter of captions writes as an array of Java's."""
    if kind == WITH_DIM:
        try:
            value = value["image"]
        except (KeyError, ValueError, TypeError, IndexError):
            return None
    if isinstance(value, (list, tuple)):
        whole = all(_whole(one) and -128 <= one < 256 for one in value)  # noqa: PLR2004 - Java's bytes
        return bytes(one & 0xFF for one in value) if whole else None
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None


def _numbers(value: Any, kind: str) -> Optional[List[Any]]:  # noqa: ANN401
    """Return the numbers of a value; None where it is not of this kind."""
    if kind == "STRING":
        text = bytes(value).decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else value
        number = _JAVA_FLOAT.fullmatch(text) if isinstance(text, str) else None
        if number is None:
            return None
        whole = _WHOLE.fullmatch(number[1])
        return [int(whole[1] + whole[2]) if whole else float(number[1])]
    if kind in ARRAYS and not isinstance(value, (list, tuple)):
        return None
    values = list(value) if kind in ARRAYS else [value]
    takes = _whole if kind.startswith("INT") else _number
    return values if all(map(takes, values)) else None


def _whole(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, float) or _whole(value)


def _floats(numbers: List[Any]) -> Optional[np.ndarray]:
    """Return numbers as Caffe has them; None where one is not finite, or a whole one is rounded."""
    with np.errstate(over="ignore"):
        floats = np.asarray([float(one) for one in numbers], np.float64).astype(np.float32)
    if not np.isfinite(floats).all():
        return None
    rounded = any(_whole(one) and int(made) != one for one, made in zip(numbers, floats.tolist()))
    return None if rounded else floats

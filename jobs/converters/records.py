"""Records of an LMDB as rows of CaffeOnSpark's frames and sequence files."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jobs.trainer.errors import Refused
from jobs.trainer.shapes import in_words
from jobs.trainer.sources.datum import parse


class Record(NamedTuple):
    """A row of LMDB2DataFrame."""

    id: str
    label: str
    channels: int
    height: int
    width: int
    encoded: bool
    data: bytes
    """An image file, or pixels by row, column and then channel."""


def record(key: str, value: bytes, uri: str) -> Record:
    """Return the row of a Datum.

    Raises:
        Refused: it is not a Datum, has floats, or pixels of another number than its shape says.
    """
    try:
        datum = parse(value)
    except ValueError as error:
        raise Refused("record-unreadable", key=key, path=uri, reason=str(error)) from error
    if datum.floats:
        reason = "it has float_data, for which CaffeOnSpark's formats have no place"
        raise Refused("record-unreadable", key=key, path=uri, reason=reason)
    shape, data = (datum.channels, datum.height, datum.width), datum.data
    if not datum.encoded:
        if not data or len(data) != shape[0] * shape[1] * shape[2]:
            raise Refused("record-size-invalid", key=key, path=uri, values=len(data), shape=in_words(shape))
        data = np.frombuffer(data, np.uint8).reshape(shape).transpose(1, 2, 0).tobytes()
    return Record(key, str(datum.label), *shape, datum.encoded, data)

"""LMDB databases of Caffe's Datum as a record source; a record's id is its key."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Generator, Optional, Tuple

import lmdb
import numpy as np

from jobs.trainer.errors import Refused
from jobs.trainer.sources.base import Record


class Lmdb:
    """A database opened for reading, without a lock file: the copy may be read-only or of another user.

    `datum` is caffe_pb2.Datum, or a stand-in of tests.
    """

    marker = "data.mdb"

    def __init__(self, path: Path, datum: Any) -> None:  # noqa: ANN401 - generated classes have no types
        if not (path / self.marker).is_file():
            raise Refused("lmdb-missing", path=str(path))
        self._datum, self._path = datum, path
        try:
            self._env = lmdb.open(str(path), readonly=True, lock=False, readahead=True, max_readers=1)
        except lmdb.Error as error:
            raise Refused("lmdb-unreadable", path=str(path), reason=str(error)) from error

    def __len__(self) -> int:
        return int(self._env.stat()["entries"])

    def ends(self) -> Tuple[str, str]:
        """Return the first and the last key; copies of one database agree on them."""
        with self._env.begin() as transaction, transaction.cursor() as cursor:
            if not cursor.first():
                return "", ""
            first = cursor.key()
            cursor.last()
            return _text(first), _text(cursor.key())

    def shape(self) -> Optional[Tuple[int, int, int]]:
        """Return (channels, height, width) of the first record; None without one."""
        for record in self.read(0, 1):
            shape = record.pixels.shape
            return shape[0], shape[1], shape[2]
        return None

    def read(self, start: int, stop: int) -> Generator[Record, None, None]:
        """Yield the records at positions start..stop-1, in key order."""
        with self._env.begin() as transaction, transaction.cursor() as cursor:
            if not cursor.first():
                return
            # Skipping reads keys only; values stay on disk.
            for _ in range(start):
                if not cursor.next():
                    return
            for key, value in itertools.islice(cursor.iternext(), stop - start):
                yield self._decode(key, value)

    def close(self) -> None:
        """Unmap the database."""
        self._env.close()

    def _decode(self, key: bytes, value: bytes) -> Record:
        datum = self._datum.FromString(value)
        shape = (datum.channels, datum.height, datum.width)
        if datum.encoded:
            raise Refused("record-encoded", key=_text(key), path=str(self._path))
        if datum.data:
            pixels = np.frombuffer(datum.data, np.uint8)
        else:
            pixels = np.asarray(datum.float_data, np.float32)
        if pixels.size != shape[0] * shape[1] * shape[2]:
            raise Refused(
                "record-size-invalid",
                key=_text(key),
                path=str(self._path),
                values=int(pixels.size),
                shape="{}x{}x{}".format(*shape),
            )
        return Record(_text(key), int(datum.label), pixels.reshape(shape))


def _text(key: bytes) -> str:
    return bytes(key).decode("utf-8", "backslashreplace")

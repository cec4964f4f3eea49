"""LMDB databases of Caffe's Datum as a record source; a record's id is its key."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import lmdb

from jobs.trainer.errors import Refused
from jobs.trainer.shapes import in_words


class Lmdb:
    """A database opened for reading, without a lock file: the copy may be read-only or of another user.

    `datum` is caffe_pb2.Datum, or a stand-in of tests.

    Raises:
        Refused: there is no database, or it is not a whole one.
    """

    marker = "data.mdb"

    def __init__(self, path: Path, datum: Any) -> None:  # noqa: ANN401 - generated classes have no types
        file = path / self.marker
        if not file.is_file():
            raise Refused("lmdb-missing", path=str(path))
        self._datum, self.path = datum, path
        self.paths: Tuple[Path, ...] = (path,)
        try:
            self._env = lmdb.open(str(path), readonly=True, lock=False)
        except lmdb.Error as error:
            raise Refused("lmdb-unreadable", path=str(path), reason=str(error)) from error
        # Reading a page beyond the end of the file would be a SIGBUS.
        whole = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
        if file.stat().st_size < whole:
            self.close()
            reason = "its file has {:,} bytes of {:,}".format(file.stat().st_size, whole)
            raise Refused("lmdb-unreadable", path=str(path), reason=reason)

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
        """Return (channels, height, width) of the first record; None where its image tells.

        Raises:
            Refused: there is no record, or it is not a valid one.
        """
        with self._env.begin() as transaction, transaction.cursor() as cursor:
            if not cursor.first():
                raise Refused("source-empty", uri=str(self.path))
            key, value = _text(cursor.key()), cursor.value()
        try:
            datum = self._datum.FromString(value)
        except Exception as error:  # protobuf's, of which each version has its own
            raise Refused(
                "record-unreadable", key=key, path=str(self.path), reason="it is not a Datum"
            ) from error
        if datum.encoded:
            return None
        shape = (datum.channels, datum.height, datum.width)
        values = len(datum.data) or len(datum.float_data)
        if values != shape[0] * shape[1] * shape[2] or not values:
            text = in_words(shape)
            raise Refused("record-size-invalid", key=key, path=str(self.path), values=values, shape=text)
        return shape

    def keys(self, every: int) -> List[bytes]:
        """Return the first key, and each `every`th one after it."""
        with self._env.begin() as transaction, transaction.cursor() as cursor:
            return list(islice(cursor.iternext(values=False), 0, None, every))

    def records(
        self, first: Optional[bytes] = None, most: Optional[int] = None
    ) -> Iterator[Tuple[str, bytes]]:
        """Yield keys and values in order: all, or at most `most` from the key `first` on."""
        with self._env.begin() as transaction, transaction.cursor() as cursor:
            if first is not None and not cursor.set_key(first):
                return
            for key, value in islice(cursor, most):
                yield _text(key), value

    def close(self) -> None:
        """Unmap the database."""
        self._env.close()


def _text(key: bytes) -> str:
    return bytes(key).decode("utf-8", "backslashreplace")

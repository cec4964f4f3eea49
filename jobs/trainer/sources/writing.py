"""Writing of LMDBs, in the order of their keys."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Iterable, Iterator, List, Sequence, Tuple

import lmdb

from jobs.trainer.errors import TrainerError

_FIRST_MAP = 64 << 20
_BATCH = 8 << 20
"""Bytes of values in a transaction: they are written again where the map is too small for them."""


def write(records: Iterable[Tuple[bytes, bytes]], folder: Path) -> None:
    """Write records, whose keys rise, into a new database.

    Raises:
        TrainerError: the disk does not take them.
    """
    write_several(((key, [value]) for key, value in records), [folder])


def write_several(records: Iterable[Tuple[bytes, Sequence[bytes]]], folders: Sequence[Path]) -> None:
    """Write records of several values, whose keys rise, into a new database for each. Raises as `write`."""
    with ExitStack() as opened:
        writers = [opened.enter_context(closing(_Writer(folder))) for folder in folders]
        for key, values in records:
            for writer, value in zip(writers, values):
                writer.put(key, value)
        for writer in writers:
            writer.finish()


class _Writer:
    """A new database, written in batches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with _told(folder):
            self._env = lmdb.open(str(folder), map_size=_FIRST_MAP, sync=False, lock=False)
        self._batch: List[Tuple[bytes, bytes]] = []
        self._size = 0

    def put(self, key: bytes, value: bytes) -> None:
        """Add a record."""
        self._batch.append((key, value))
        self._size += len(value)
        if self._size >= _BATCH:
            self._write()

    def finish(self) -> None:
        """Write what is left, to the disk."""
        self._write()
        with _told(self._folder):
            self._env.sync(True)

    def close(self) -> None:
        """Unmap the database."""
        self._env.close()

    def _write(self) -> None:
        _put(self._env, self._batch, self._folder)
        self._batch, self._size = [], 0


def _put(env: lmdb.Environment, batch: List[Tuple[bytes, bytes]], folder: Path) -> None:
    while True:
        try:
            with _told(folder), env.begin(write=True) as transaction:
                for key, value in batch:
                    transaction.put(key, value, append=True)
        except lmdb.MapFullError:
            env.set_mapsize(2 * env.info()["map_size"])
        else:
            return


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except lmdb.MapFullError:
        raise
    except (lmdb.Error, OSError) as error:
        raise TrainerError("conversion-not-written", folder=str(folder), reason=str(error)) from error

"""Writing of an LMDB, in the order of its keys."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from typing import Iterable, Iterator, List, Tuple

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
    with _told(folder):
        opened = lmdb.open(str(folder), map_size=_FIRST_MAP, sync=False, lock=False)
    with closing(opened) as env:
        batch: List[Tuple[bytes, bytes]] = []
        size = 0
        for one in records:
            batch.append(one)
            size += len(one[1])
            if size >= _BATCH:
                _put(env, batch, folder)
                batch, size = [], 0
        _put(env, batch, folder)
        with _told(folder):
            env.sync(True)


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

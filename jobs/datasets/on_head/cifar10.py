"""CIFAR-10's binary archive to two LMDBs, as Caffe's convert_cifar_data does.

`python cifar10.py cifar-10-binary.tar.gz FOLDER` writes FOLDER/train_lmdb and FOLDER/test_lmdb, with keys of
five digits in the order of the archive. Python 3.8, standard library and lmdb.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

import lmdb

PIXELS = 3 * 32 * 32
"""Bytes of an image: the red, green and blue planes."""
RECORD = 1 + PIXELS
"""A label, then an image."""
CLASSES = 10
SETS = {
    "train": tuple("data_batch_{}.bin".format(number) for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
_FOLDER = "cifar-10-batches-bin"
_MAP = 1 << 40
"""Largest size of an LMDB, which takes no space by itself."""
_BATCH = 1000
"""Records of a transaction."""


def records(archive: Path, names: Sequence[str]) -> Iterator[Tuple[int, bytes]]:
    """Yield labels and images of files of the archive.

    Raises:
        ValueError: a file is missing, or is not whole records of ten classes.
    """
    with tarfile.open(archive) as opened:
        for name in names:
            try:
                file = opened.extractfile("{}/{}".format(_FOLDER, name))
            except KeyError:
                file = None
            if file is None:
                raise ValueError("{} has no {}".format(archive.name, name))
            while True:
                record = file.read(RECORD)
                if not record:
                    break
                if len(record) < RECORD or record[0] >= CLASSES:
                    raise ValueError("{} is not CIFAR-10".format(name))
                yield record[0], record[1:]


def datum(label: int, image: bytes) -> bytes:
    """Return a serialised Datum: channels, height, width, data, label."""
    # The length has two bytes of seven bits, the label one.
    length = bytes((len(image) & 127 | 128, len(image) >> 7))
    return b"\x08\x03\x10\x20\x18\x20\x22" + length + image + b"\x28" + bytes((label,))


def convert(archive: Path, folder: Path) -> None:
    """Write the two LMDBs."""
    for phase, names in SETS.items():
        path = folder / "{}_lmdb".format(phase)
        path.mkdir(parents=True)
        with lmdb.open(str(path), map_size=_MAP, sync=False) as database:
            batch, number = [], -1
            for number, (label, image) in enumerate(records(archive, names)):
                batch.append(("{:05}".format(number).encode(), datum(label, image)))
                if len(batch) == _BATCH:
                    _put(database, batch)
            _put(database, batch)
            if number < 0:
                raise ValueError("{} is empty".format(names[0]))
            database.sync(True)
        # Readers open it without locking; a lock file of another machine would only hinder them.
        (path / "lock.mdb").unlink()


def _put(database: lmdb.Environment, batch: List[Tuple[bytes, bytes]]) -> None:
    with database.begin(write=True) as transaction:
        for key, value in batch:
            transaction.put(key, value, append=True)
    batch.clear()


if __name__ == "__main__":
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except (ValueError, OSError, EOFError, lmdb.Error) as error:
        sys.exit(str(error))

"""CIFAR-10's binary archive, downloaded from its author's site and verified by sha256, and its mean image."""

from __future__ import annotations

import shlex
import struct
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bootstrap import downloads, paths
from bootstrap.errors import IntegrityError, JobError
from bootstrap.operator_cache import operator_cache
from bootstrap.storage.folders import MADE
from bootstrap.sums import sha256_of
from jobs.datasets.base import CONVERT_TIMEOUT, ON_HEAD, DataSet

ARCHIVE = "cifar-10-binary.tar.gz"
FILES = {ARCHIVE: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"}
"""sha256 of the archive, which other projects pin too."""
MIRROR = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
CONNECT_TIMEOUT = 10.0
"""Seconds for the connection, and for each read."""
DOWNLOAD_TIMEOUT = 1800.0
"""Seconds for the archive, which has 170 MB."""
LARGEST = 256 << 20
"""Bytes of the archive. A source that sends more is cut off."""
MEAN = "mean.binaryproto"
PROGRAM = ON_HEAD / "cifar10.py"
_PIXELS = 3 * 32 * 32
_TRAIN = tuple(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6))

Source = Callable[[Path], None]
"""Function that writes the archive to a path, or raises OSError with the reason."""


def data_set() -> DataSet:
    """Return the data set as the registry has it."""
    return DataSet(FILES, ensure_files, convert_script, PROGRAM, {mean_file(): ensure_mean})


def convert_script(work: str) -> str:
    """Return the shell script that converts the archive in a working folder to two LMDBs."""
    raw, made = shlex.quote(f"{work}/raw"), shlex.quote(f"{work}/{MADE}")
    return (
        f"mkdir -p {made}\ngunzip {raw}/*.gz.gz\n"
        f"timeout -k 10 {CONVERT_TIMEOUT:g} {paths.ANY_PYTHON} {shlex.quote(f'{work}/{PROGRAM.name}')} "
        f"{raw}/{ARCHIVE} {made}\n"
        f"chmod -R a+rX {shlex.quote(work)}\n"
    )


def cache() -> Path:
    """Return the folder of verified copies on the operator's machine."""
    return operator_cache() / "data" / "cifar10"


def mean_file() -> Path:
    """Return the path of the mean image, which `ensure_mean` makes."""
    return cache() / MEAN


def ensure_files(folder: Path | None = None, source: Source | None = None) -> dict[str, Path]:
    """Return the archive by name, from the cache or else downloaded.

    Raises:
        JobError: it cannot be downloaded.
        IntegrityError: the download has other bytes than the pinned ones.
    """
    folder = folder or cache()
    path = folder / ARCHIVE
    if path.is_file() and sha256_of(path) == FILES[ARCHIVE]:
        return {ARCHIVE: path}
    by_hand = f"Put {ARCHIVE} into {folder}, then rerun the command."
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as aside:
        new = Path(aside) / ARCHIVE
        try:
            (source or _download)(new)
        except OSError as error:
            why = f"{MIRROR} cannot be read ({error})"
            raise JobError("CIFAR-10", why, by_hand) from error
        found = sha256_of(new)
        if found != FILES[ARCHIVE]:
            why = f"{MIRROR} has sha256 {found[:12]}…, pinned is {FILES[ARCHIVE][:12]}…"
            raise IntegrityError("CIFAR-10", why, by_hand)
        new.replace(path)
    return {ARCHIVE: path}


def ensure_mean() -> Path:
    """Make the mean image of the training images in the cache, unless it is there; return its path.

    Raises:
        JobError, IntegrityError: as `ensure_files`.
    """
    path = mean_file()
    if not path.is_file():
        text = mean_of(ensure_files()[ARCHIVE])
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mean-") as aside:
            new = Path(aside) / MEAN
            new.write_bytes(text)
            new.replace(path)
    return path


def mean_of(archive: Path) -> bytes:
    """Return the mean of the training images as a BlobProto of float32, shape 1 x 3 x 32 x 32."""
    total, count = 0, 0
    for image in _images(archive):
        # A sum of 50,000 bytes fits 32 bits, so one addition of long integers adds all pixels.
        lanes = bytearray(4 * _PIXELS)
        lanes[::4] = image
        total += int.from_bytes(lanes, "little")
        count += 1
    sums = struct.unpack(f"<{_PIXELS}I", total.to_bytes(4 * _PIXELS, "little"))
    data = struct.pack(f"<{_PIXELS}f", *(value / count for value in sums))
    # num, channels, height and width, as compute_image_mean writes them; then data, packed.
    head = b"\x08\x01\x10\x03\x18\x20\x20\x20\x2a"
    length = len(data)
    return head + bytes((length & 127 | 128, length >> 7)) + data


def _images(archive: Path) -> Iterator[bytes]:
    with tarfile.open(archive) as opened:
        for name in _TRAIN:
            file = opened.extractfile(name)
            while file and (record := file.read(1 + _PIXELS)):
                yield record[1:]


def _download(path: Path) -> None:
    downloads.download(MIRROR, path, downloads.Limits(CONNECT_TIMEOUT, DOWNLOAD_TIMEOUT, LARGEST))

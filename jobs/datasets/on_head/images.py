"""Images of an archive to LMDBs of encoded Datum, as Caffe's convert_imageset with -encoded.

`python -m jobs.datasets.on_head.images ARCHIVE FOLDER`: the first member of the archive (tar) is `INDEX`,
which names sets with the key and label of each record, and the classes; the images follow in that order. It
writes FOLDER/SET/data.mdb, and FOLDER/classes.txt where there are classes. Python 3.8, standard library and
lmdb.
"""

from __future__ import annotations

import json
import sys
import tarfile
import time
from pathlib import Path
from typing import Any, Iterator, List, Sequence, Tuple

from jobs.trainer.errors import TrainerError
from jobs.trainer.sources.datum import image
from jobs.trainer.sources.writing import write

INDEX = "index.json"
CLASSES = "classes.txt"
"""A class in each line, by its label."""
TOLD = "progress: "
"""Begins lines for the operator."""
TOLD_S = 5.0
"""Seconds between lines with the count of records."""


def convert(archive: Path, folder: Path) -> None:
    """Write the databases and the classes.

    Raises:
        ValueError: the archive ends before its index does.
        TrainerError: the disk does not take them.
    """
    with tarfile.open(str(archive), "r|") as tar:
        members = _members(tar)
        index = json.loads(next(members))
        folder.mkdir(parents=True, exist_ok=True)
        for name, records in index["sets"].items():
            write(_records(name, records, members), folder / name)
    if index["classes"]:
        (folder / CLASSES).write_text("".join("{}\n".format(name) for name in index["classes"]), "utf-8")


def _members(tar: tarfile.TarFile) -> Iterator[bytes]:
    for member in tar:
        file = tar.extractfile(member)
        if file is not None:
            yield file.read()


def _records(
    name: str, records: Sequence[List[Any]], members: Iterator[bytes]
) -> Iterator[Tuple[bytes, bytes]]:
    told = time.monotonic() + TOLD_S
    for number, (key, label) in enumerate(records):
        data = next(members, None)
        if data is None:
            raise ValueError("the archive ends after {:,} of {:,} records".format(number, len(records)))
        yield key.encode(), image(label, data)
        if time.monotonic() > told:
            told = time.monotonic() + TOLD_S
            print("{}{}: {:,} of {:,} records".format(TOLD, name, number + 1, len(records)), flush=True)
    print("{}{}: {:,} records".format(TOLD, name, len(records)), flush=True)


if __name__ == "__main__":
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except (ValueError, OSError, tarfile.TarError, TrainerError) as error:
        sys.exit(str(error))

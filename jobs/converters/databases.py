"""LMDBs in storage: read by executors in ranges of keys, and written by the driver."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable, Iterator, List, NamedTuple, Tuple

from jobs.converters.images import parts_of
from jobs.converters.records import Record, record
from jobs.trainer.files import storage
from jobs.trainer.files.distribution import Distribution, locate
from jobs.trainer.sources.lmdb import Lmdb
from jobs.trainer.sources.writing import write


class Range(NamedTuple):
    """Records of a database: at most `most` from the key `first` on."""

    name: str
    """For `locate`."""
    first: bytes
    most: int
    uri: str

    def records(self) -> Iterator[Record]:
        """Yield the records, on a node.

        Raises:
            Refused: a record is not a valid one.
        """
        source = Lmdb(locate(self.name), None)
        try:
            for key, value in source.records(self.first, self.most):
                yield record(key, value, self.uri)
        finally:
            source.close()


def ranges(nodes: Distribution, uri: str, partitions: int) -> Tuple[List[Range], int]:
    """Distribute a database to all nodes; return its ranges and the number of its records.

    `partitions`: how many ranges; 0: by the size of the database.

    Raises:
        TrainerError: it cannot be read.
    """
    name = nodes.add(uri, folder=True)
    folder = locate(name)
    source = Lmdb(folder, None)
    try:
        total = len(source)
        number = partitions or parts_of((folder / source.marker).stat().st_size)
        every = max(1, -(-total // number))
        return [Range(name, first, every, uri) for first in source.keys(every)], total
    finally:
        source.close()


def read(spark_context: Any, parts: List[Range]) -> Any:  # noqa: ANN401 - pyspark has no types here
    """Return an RDD of the records of all ranges, a partition each."""
    return spark_context.parallelize(parts, len(parts)).mapPartitions(_records)


def _records(parts: Iterable[Range]) -> Iterator[Record]:
    for part in parts:
        yield from part.records()


def store(records: Iterable[Tuple[bytes, bytes]], uri: str, scratch: Path) -> None:
    """Write records, whose keys rise, into an LMDB in storage.

    Raises:
        TrainerError: the driver's disk or storage does not take them.
    """
    folder = scratch / "made"
    write(records, folder)
    storage.put(folder / Lmdb.marker, "{}/{}".format(uri.rstrip("/"), Lmdb.marker))

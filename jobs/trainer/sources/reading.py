"""Reading of sources by Spark, on the driver: in a fixed order, a partition at a time."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Callable, Iterator, List, NamedTuple, Sequence, Tuple, TypeVar
from urllib.parse import unquote

from jobs.trainer.errors import Refused
from jobs.trainer.files.hadoop import java_message
from jobs.trainer.sources.frame import Reading

PARTITION = 8 << 20
"""Bytes of a file in a partition, of which the driver's JVM holds several copies; in Parquet a row group."""
_BYTES = "org.apache.hadoop.io.BytesWritable"

T = TypeVar("T")


class File(NamedTuple):
    """A file of a source, and its size in bytes."""

    uri: str
    size: int


def pairs(spark_context: Any, files: Sequence[File], uri: str) -> Iterator[Tuple[Any, Any]]:  # noqa: ANN401
    """Yield keys and values of sequence files of BytesWritable, file by file.

    Raises:
        Refused: they cannot be read.
    """
    for file in files:
        yield from _read(_attempt(partial(_pairs, spark_context, file), uri), uri)


def _pairs(spark_context: Any, file: File) -> Iterator[Tuple[Any, Any]]:  # noqa: ANN401
    splits = max(1, -(-file.size // PARTITION))
    read = spark_context.sequenceFile(literal(file.uri), _BYTES, _BYTES, minSplits=splits)
    found: Iterator[Tuple[Any, Any]] = read.toLocalIterator(True)
    return found


def rows(spark: Any, uri: str, reading: Reading) -> Tuple[List[str], Iterator[Any]]:  # noqa: ANN401
    """Return the columns of a DataFrame, and an iterator over its rows.

    Spark itself reads the largest file first. So each file is a frame of its own, and all are put together in
    the order of their names.

    Raises:
        Refused: it cannot be read.
    """
    spark.conf.set("spark.sql.files.maxPartitionBytes", PARTITION)
    columns, found = _attempt(lambda: _content(_selected(spark, uri, reading)), uri)
    return columns, _read(found, uri)


def _content(frame: Any) -> Tuple[List[str], Iterator[Any]]:  # noqa: ANN401
    return list(frame.columns), frame.toLocalIterator()


def _selected(spark: Any, uri: str, reading: Reading) -> Any:  # noqa: ANN401
    frame = spark.read.format(reading.format).load(pattern(uri))
    files = sorted(map(unquote, frame.inputFiles()))
    if len(files) > 1:
        reader = spark.read.format(reading.format).schema(frame.schema).option("basePath", uri)
        parts = [reader.load(pattern(file)) for file in files]
        while len(parts) > 1:
            # In pairs: Spark goes through the whole plan again at each union.
            single = parts[len(parts) // 2 * 2 :]
            parts = [*map(_united, parts[::2], parts[1::2]), *single]
        frame = parts[0]
    return frame.selectExpr(*reading.columns) if reading.columns else frame


def _united(frame: Any, other: Any) -> Any:  # noqa: ANN401
    return frame.union(other)


def _read(some: Iterator[T], uri: str) -> Iterator[T]:
    over = object()
    while True:
        one: Any = _attempt(lambda: next(some, over), uri)
        if one is over:
            return
        yield one


def _attempt(action: Callable[[], T], uri: str) -> T:
    try:
        return action()
    except Exception as error:
        raise Refused("source-unreadable", uri=uri, reason=java_message(error)) from error


def pattern(uri: str) -> str:
    """Return a URI for Spark, to which some characters are patterns."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", uri)


def literal(uri: str) -> str:
    """Return a URI for Hadoop's list of inputs, which commas separate but in braces."""
    return pattern(uri).replace(",", "{\\,}")

"""Lines, frames and sequence files in storage, read and written by Spark."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, List, Tuple

from jobs.converters.progress import counted, told
from jobs.trainer.sources.reading import literal


def lines(spark_context: Any, uri: str) -> Iterator[str]:  # noqa: ANN401 - pyspark has no types here
    """Yield the lines of a text file, or of those of a folder, in order."""
    found: Iterator[str] = spark_context.textFile(literal(uri)).toLocalIterator()
    return found


def write_lines(spark_context: Any, text: Iterable[str], uri: str) -> None:  # noqa: ANN401
    """Write lines into one file of a new folder."""
    spark_context.parallelize(list(text), 1).saveAsTextFile(uri)


def write_rows(spark: Any, rows: List[Any], schema: str, uri: str) -> None:  # noqa: ANN401
    """Write rows of the driver as JSON, into one file of a new folder."""
    spark.createDataFrame(rows, schema).coalesce(1).write.format("json").save(uri)


def write_frame(  # noqa: PLR0917
    spark: Any,  # noqa: ANN401
    rdd: Any,  # noqa: ANN401
    schema: str,
    form: str,
    uri: str,
    total: int,
) -> None:
    """Write rows as a DataFrame of that schema and format into a new folder, a file for each partition."""
    counter = spark.sparkContext.accumulator(0)
    made = rdd.mapPartitions(lambda given: counted(given, counter))
    with told(lambda: int(counter.value), total):
        spark.createDataFrame(made, schema).write.format(form).save(uri)


def write_pairs(spark_context: Any, rdd: Any, uri: str, total: int) -> None:  # noqa: ANN401
    """Write pairs of bytes as sequence files of BytesWritable into a new folder."""
    counter = spark_context.accumulator(0)
    made = rdd.mapPartitions(lambda given: counted(_bytearrays(given), counter))
    with told(lambda: int(counter.value), total):
        made.saveAsSequenceFile(uri)


def _bytearrays(pairs: Iterable[Tuple[bytes, bytes]]) -> Iterator[Tuple[bytearray, bytearray]]:
    # Of which Spark makes BytesWritable.
    for key, value in pairs:
        yield bytearray(key), bytearray(value)

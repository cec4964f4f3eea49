"""Spark's part in reading a source, over a stand-in; how Spark itself reads is in docs/caffeonspark.md."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer.errors import Refused
from jobs.trainer.sources import reading
from jobs.trainer.sources.frame import Reading

FILES = {f"file:/f/part-{number}": [f"{number}{letter}" for letter in "abc"] for number in range(5)}


class Frame:
    """A frame over files, whose rows are in the order of the files given."""

    schema, columns = "schema", ("label", "data")

    def __init__(self, files: list[str]) -> None:
        self.files = files

    def inputFiles(self) -> list[str]:
        return [file.replace(" ", "%20") for file in self.files]

    def union(self, other: Frame) -> Frame:
        return Frame([*self.files, *other.files])

    def selectExpr(self, *columns: str) -> Frame:
        if "nope" in columns:
            raise ValueError("[UNRESOLVED_COLUMN] nope\nProject [nope]")
        made = Frame(self.files)
        made.columns = columns  # type: ignore[assignment]
        return made

    def toLocalIterator(self) -> Iterator[str]:
        for file in self.files:
            yield from FILES.get(file, [file])


class Spark:
    """A session that reads the largest file first, and notes the format."""

    def __init__(self, files: list[str]) -> None:
        self.files, self.formats, self.conf = files, list[str](), SimpleNamespace(set=lambda *_: None)
        self.read = self

    def format(self, name: str) -> Spark:
        self.formats.append(name)
        return self

    def schema(self, given: str) -> Spark:
        assert given == "schema"
        return self

    def option(self, name: str, value: str) -> Spark:
        assert (name, value) == ("basePath", "file:/f")
        return self

    def load(self, path: str) -> Frame:
        return Frame(list(reversed(self.files)) if path == "file:/f" else [path])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_rows_come_in_the_order_of_the_names_of_their_files(count: int) -> None:
    files = list(FILES)[:count]
    columns, rows = reading.rows(Spark(files), "file:/f", Reading())

    assert columns == ["label", "data"]
    assert list(rows) == [row for file in files for row in FILES[file]]


def test_columns_are_selected_from_all_files_together_in_the_layers_format() -> None:
    spark = Spark(list(FILES))
    columns, _ = reading.rows(spark, "file:/f", Reading(("l as label", "d as data"), "orc"))

    assert columns == ["l as label", "d as data"]
    assert set(spark.formats) == {"orc"}


def test_what_spark_refuses_is_told_in_one_line() -> None:
    with pytest.raises(Refused) as refused:
        reading.rows(Spark([]), "file:/f", Reading(("nope",)))
    assert "file:/f: Spark cannot read it ([UNRESOLVED_COLUMN] nope)." in str(refused.value)


class Context:
    """A Spark context with sequence files."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def sequenceFile(self, path: str, *_: str, minSplits: int) -> Any:
        self.asked.append((path, minSplits))
        return SimpleNamespace(toLocalIterator=lambda _: self._pairs(path))

    @staticmethod
    def _pairs(path: str) -> Iterator[tuple[str, str]]:
        yield path, "first"
        if "broken" in path:
            raise OSError("not a SequenceFile")
        yield path, "second"


def test_sequence_files_are_read_one_after_the_other_in_splits_that_fit_into_memory() -> None:
    context = Context()
    files = [
        reading.File("a", 0),
        reading.File("b", reading.PARTITION),
        reading.File("c", reading.PARTITION * 7 // 2),
    ]

    found = list(reading.pairs(context, files, "u"))

    assert found == [(name, which) for name in "abc" for which in ("first", "second")]
    assert context.asked == [("a", 1), ("b", 1), ("c", 4)]


def test_names_that_hadoop_takes_for_patterns_or_lists_are_names() -> None:
    context = Context()
    list(reading.pairs(context, [reading.File("file:/a,b/[x] {y}*?", 1)], "u"))

    assert context.asked[0][0] == r"file:/a{\,}b/\[x\] \{y\}\*\?"


def test_a_file_that_breaks_off_is_told_with_its_source() -> None:
    found = reading.pairs(Context(), [reading.File("broken", 1)], "hdfs://h/s")
    assert next(found) == ("broken", "first")

    with pytest.raises(Refused, match=r"hdfs://h/s: Spark cannot read it \(not a SequenceFile\)"):
        next(found)

"""The table of interleaved validations; `rounds.write` itself needs Spark, and runs in end-to-end tests."""

from __future__ import annotations

import math
from dataclasses import replace
from types import MethodType, SimpleNamespace
from typing import Any

import pytest

from jobs.trainer import rounds
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.contract import Note, Rounds, Validation

ROUNDS = [
    Validation(100, 300, {"accuracy": [0.5], "ip2": [1.0, 2.0]}),
    Validation(200, 300, {"accuracy": [math.nan], "ip2": [3.0, 4.0]}),
]


def job(
    interval: int = 100,
    max_iter: int = 300,
    *,
    first: bool = False,
    last: bool = False,
    iters: tuple[int, ...] = (1,),
) -> Any:
    made = SimpleNamespace(test_interval=interval, max_iter=max_iter)
    made.test_initialization, made.final_validation = first, last
    made.tests = [SimpleNamespace(test_iter=count) for count in iters]
    made.validates = MethodType(TrainingJob.validates, made)
    return made


def test_a_row_is_an_iteration_and_a_list_for_each_output_in_the_nets_order() -> None:
    found = rounds.rows(ROUNDS)

    assert rounds.columns(ROUNDS) == ("accuracy", "ip2")
    assert found[0] == (100, [0.5], [1.0, 2.0])
    assert found[1][0] == 200
    assert math.isnan(found[1][1][0])


def test_no_row_has_a_hole_where_spark_takes_none() -> None:
    later = [*ROUNDS, replace(ROUNDS[0], values={"loss": [1.0]})]

    assert [len(row) for row in rounds.rows(later)] == [4, 4, 4]
    assert None not in [value for row in rounds.rows(later) for value in row]


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        (("accuracy", "loss"), "iteration"),
        (("Iteration",), "iteration_"),
        (("iteration", "ITERATION_"), "iteration__"),
    ],
)
def test_the_column_of_iterations_takes_no_outputs_name_in_any_case(
    outputs: tuple[str, ...], name: str
) -> None:
    assert rounds.iteration_column(outputs) == name


@pytest.mark.parametrize(
    ("given", "begun", "count"),
    [
        (job(), 0, 2),  # 100, 200; CaffeOnSpark's floor((max_iter - 1) / test_interval)
        (job(max_iter=301), 0, 3),
        (job(max_iter=199), 0, 1),
        (job(first=True), 0, 3),
        (job(first=True), 100, 2),
        (job(last=True), 0, 3),
        (job(max_iter=250, last=True), 200, 2),
        (job(interval=0, last=True), 0, 0),
        (job(), 150, 1),
        (job(interval=0), 0, 0),
        (job(iters=(0,)), 0, 0),
        (job(iters=(0, 5)), 0, 2),
        (job(iters=()), 0, 0),
    ],
)
def test_as_many_rounds_are_expected_as_the_solver_says(given: Any, begun: int, count: int) -> None:
    assert rounds.expected(given, begun) == count


def test_a_training_without_rounds_asks_nothing_of_spark() -> None:
    rounds.write(None, [], "hdfs://h/m.validation", "json")

    assert list(rounds.told(job(interval=0), 0, [], "hdfs://h/m.validation")) == []


@pytest.mark.usefixtures("spark_types")
def test_the_tables_columns_are_floats_in_lists_and_nothing_is_null() -> None:
    assert rounds.schema(["accuracy"]) == [
        ("iteration", "int", False),
        ("accuracy", ("array", "float", False), False),
    ]


def test_a_table_that_lacks_rounds_is_told_so() -> None:
    uri = "hdfs://h/m.validation"
    full = [Note(f"{uri} lacks rounds that did not reach the driver"), Rounds(1, uri)]

    assert list(rounds.told(job(), 0, ROUNDS, uri)) == [Rounds(2, uri)]
    assert list(rounds.told(job(), 0, ROUNDS[:1], uri)) == full
    assert list(rounds.told(job(), 0, [], uri)) == full[:1]


class Frame:
    """A frame in two parts, and what is written of it."""

    def __init__(self, rows: list[Any], parts: int = 2) -> None:
        self.rows, self.parts, self.how = rows, parts, list[str]()
        self.write = self

    def coalesce(self, parts: int) -> Frame:
        return Frame(self.rows, parts)

    def mode(self, name: str) -> Frame:
        self.how.append(name)
        return self

    def format(self, name: str) -> Frame:
        self.how.append(name)
        return self

    def save(self, uri: str) -> None:
        stored[uri] = (self.rows, self.parts, self.how)


stored: dict[str, Any] = {}


def test_the_table_is_written_in_one_part_over_an_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "schema", list)
    spark = SimpleNamespace(createDataFrame=lambda rows, names: Frame([names, *rows]))

    rounds.write(spark, ROUNDS[:1], "hdfs://h/m.validation", "parquet")

    expected = [["accuracy", "ip2"], (100, [0.5], [1.0, 2.0])]
    assert stored == {"hdfs://h/m.validation": (expected, 1, ["overwrite", "parquet"])}

"""validation.csv."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from jobs.report import validations
from jobs.trainer.contract import Validation


def table(tmp_path: Path, *rounds: Validation) -> list[list[str]]:
    validations.write(rounds, tmp_path / "validation.csv")
    with (tmp_path / "validation.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_a_row_is_a_round_with_its_iteration_and_its_means(tmp_path: Path) -> None:
    rounds = [Validation(n, 300, {"accuracy": [0.1 + n / 1000], "loss": [1.5]}) for n in (100, 200)]

    assert table(tmp_path, *rounds) == [
        ["iteration", "accuracy", "loss"],
        ["100", repr(0.1 + 0.1), "1.5"],
        ["200", repr(0.1 + 0.2), "1.5"],
    ]


def test_an_output_of_several_values_has_a_column_for_each(tmp_path: Path) -> None:
    assert table(tmp_path, Validation(1, values={"ip2#0": [1.0, 2.0]})) == [
        ["iteration", "ip2#0[0]", "ip2#0[1]"],
        ["1", "1.0", "2.0"],
    ]


def test_figures_that_are_no_numbers_are_named_and_missing_ones_are_empty(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        Validation(1, values={"a": [math.nan], "b": [-math.inf]}),
        Validation(2, values={"a": [1.0]}),
    )

    assert found[1:] == [["1", "NaN", "-Infinity"], ["2", "1.0", ""]]


def test_a_name_with_a_comma_or_a_line_end_is_one_cell(tmp_path: Path) -> None:
    assert table(tmp_path, Validation(1, values={'a,"b"\nc': [1.0]}))[0] == ["iteration", 'a,"b"\nc']

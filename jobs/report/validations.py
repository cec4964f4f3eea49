"""Interleaved validations of a job as a table: a row per round, a column per value."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from bootstrap.aside import replacing
from jobs.trainer.contract import Validation, jsonable

FILE = "validation.csv"


def rows(rounds: Sequence[Validation]) -> Iterator[list[str]]:
    """Yield the header, then a row per round: its iteration, and the mean of each output.

    An output of several values has a column for each, `ip2[0]`. What a round lacks is empty; figures that are
    no numbers are `NaN` and `Infinity`, as in events.
    """
    lengths: dict[str, int] = {}
    for one in rounds:
        for name, values in one.values.items():
            lengths[name] = max(lengths.get(name, 0), len(values))
    columns = [(name, index) for name, length in lengths.items() for index in range(length)]
    yield ["iteration", *(f"{name}[{index}]" if lengths[name] > 1 else name for name, index in columns)]
    for one in rounds:
        found = [one.values.get(name, []) for name, _ in columns]
        cells = [
            _text(values[index]) if index < len(values) else ""
            for values, (_, index) in zip(found, columns, strict=True)
        ]
        yield [str(one.iteration), *cells]


def write(rounds: Sequence[Validation], path: Path) -> None:
    """Write the table as CSV."""
    with replacing(path) as new, new.open("w", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows(rounds))


def _text(value: float) -> str:
    return repr(value) if math.isfinite(value) else str(jsonable(value))

"""Faults that are put into modules, and the order in which tests look for them."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.mutation import faults, stages_of

SOURCE = '''
"""Two, or 2."""
LIMIT: "at most 4" = 3

def small(x: list[5], y: bool = False) -> "7":
    """Return 6."""
    return x if x < 8 and y else None
'''


def test_every_comparison_number_branch_and_operator_is_a_fault_and_texts_and_annotations_are_none() -> None:
    assert sorted(fault.what for fault in faults(SOURCE)) == [
        "3 → 4",
        "8 → 9",
        "False → True",
        "x < 8 and y → not (x < 8 and y)",
        "x < 8 and y → x < 8 or y",
        "x < 8 → x <= 8",
    ]


def test_a_source_has_one_fault_at_a_time() -> None:
    plain = ast.unparse(ast.parse(SOURCE)).splitlines()
    for fault in faults(SOURCE):
        changed = fault.source.splitlines()
        assert sum(one != other for one, other in zip(plain, changed, strict=True)) == 1


def test_the_nearest_tests_are_run_first() -> None:
    own, named, everything = stages_of(Path("jobs/trainer/files/storage.py"), ["tests/jobs/trainer"])

    assert own == ["tests/jobs/trainer/files/test_storage.py"]
    assert "tests/jobs/trainer/ranks/test_train.py" in named
    assert everything == ["tests/jobs/trainer"]

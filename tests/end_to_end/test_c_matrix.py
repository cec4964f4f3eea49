"""A job that is interrupted at a moment of its own: rows of the matrix that no other test has.

`python -m tests.end_to_end.matrix` takes all of them.
"""

from __future__ import annotations

import sys

import pytest

from tests.end_to_end.conftest import Said, Stack

pytestmark = pytest.mark.cluster

TAKEN = (
    "data loading",
    "a second one during the first recovery",
    "the head",
    "no room for snapshots",
    "a replacement without Caffe, which comes later",
    "replacements that never come",
)


@pytest.mark.parametrize("row", TAKEN)
def test_an_interrupted_job_ends_with_its_model_or_stops_with_its_snapshot(
    stack: Stack, trained: Said, row: str
) -> None:
    said = stack.run(sys.executable, "-m", "tests.end_to_end.matrix", "--stack", stack.name, row, timeout=900)
    assert said.code == 0, said.output
    assert f"ok   {row}" in said.output

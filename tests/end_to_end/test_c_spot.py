"""A job that is interrupted by a notice, a lost executor and a partition: it ends as if nothing was.

`python benchmarks/spot_soak.py` takes more of them, and more kinds.
"""

from __future__ import annotations

import sys

import pytest

from tests.end_to_end.conftest import Said, Stack

pytestmark = pytest.mark.cluster

KINDS = "notice,executor,partition"
ACCURACY = 0.98
"""Of LeNet after the iterations below, undisturbed: between 0.983 and 0.988."""


def test_training_goes_through_interruptions_to_its_accuracy_and_leaves_nothing(
    stack: Stack, trained: Said
) -> None:
    words = ["--interruptions", "3", "--kinds", KINDS, "--iterations", "1500", "--accuracy", str(ACCURACY)]
    said = stack.run(sys.executable, "benchmarks/spot_soak.py", "--stack", stack.name, *words, timeout=1200)

    assert said.code == 0, said.output
    assert "3 of 3 interruptions" in said.output
    assert "left over" not in said.output

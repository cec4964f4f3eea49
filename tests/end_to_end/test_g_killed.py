"""Commands that are killed by SIGKILL at a random moment finish the work when they are run again.

One moment each; `python -m tests.end_to_end.kill_walk` takes more of them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Said, Stack
from tests.end_to_end.kill_walk import STEPS, Step, Walk, small_stack

pytestmark = pytest.mark.cluster

SEED = int(os.environ.get("CAFFE_SPARK_TEST_SEED") or random.randrange(10**6))


@pytest.fixture(scope="module")
def walk(stack: Stack, built: Said, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """A walk over a small stack, whose framework comes from the first stack's cache."""
    folder: Path = tmp_path_factory.mktemp("killed")
    with small_stack(folder, stack.env) as small:
        yield Walk(small, SEED, folder / "log")


@pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])
def test_a_killed_command_finishes_the_work_when_it_is_run_again(walk: Walk, step: Step) -> None:
    line = walk.take(step)
    print(f"{line}\nThe same moments again: CAFFE_SPARK_TEST_SEED={SEED}")
    assert line.endswith("  ok"), f"CAFFE_SPARK_TEST_SEED={SEED}\n{walk.log.read_text()[-4000:]}"

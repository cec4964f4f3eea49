"""A process of a job that is killed by SIGKILL at a random moment: the job goes on, or stops and resumes.

One moment each; `python -m tests.end_to_end.chaos` takes more of them.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.end_to_end.chaos import VICTIMS, Chaos, Victim
from tests.end_to_end.conftest import Said, Stack

pytestmark = pytest.mark.cluster

SEED = int(os.environ.get("CAFFE_SPARK_TEST_SEED") or random.randrange(10**6))


@pytest.mark.parametrize("victim", VICTIMS, ids=[victim.name for victim in VICTIMS])
def test_a_job_whose_process_is_killed_names_the_node_and_resumes(
    stack: Stack, trained: Said, tmp_path: Path, victim: Victim
) -> None:
    line = Chaos(stack, tmp_path, SEED).take(victim)
    print(f"{line}\nThe same moment again: CAFFE_SPARK_TEST_SEED={SEED}")
    assert line.startswith("ok"), f"CAFFE_SPARK_TEST_SEED={SEED}\n{line}"


@pytest.mark.parametrize(
    "victim", [one for one in VICTIMS if one.on_worker], ids=[one.name for one in VICTIMS if one.on_worker]
)
def test_a_job_goes_on_without_the_process_that_was_killed(
    stack: Stack, trained: Said, tmp_path: Path, victim: Victim
) -> None:
    line = Chaos(stack, tmp_path, SEED).goes_on(victim)
    print(f"{line}\nThe same moment again: CAFFE_SPARK_TEST_SEED={SEED}")
    assert line.startswith("ok"), f"CAFFE_SPARK_TEST_SEED={SEED}\n{line}"

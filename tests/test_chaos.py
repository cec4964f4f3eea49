"""The chaos program on a stack that is slow: a round that takes too long fails, and the others are run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.chaos import VICTIMS, Chaos
from tests.end_to_end.conftest import Said, Stack

STOPPED = (
    "rank 0 on head died. Resume from iteration 100 with -snapshot hdfs:///a.solverstate "
    "-weights hdfs:///a.caffemodel."
)


class SlowStack(Stack):
    """A stack whose resumed jobs end too late, and one of them later still."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {}, "slow")
        self.typed: list[tuple[str, ...]] = []

    def run(self, *command: str, timeout: float = 600, stdin: str = "") -> Said:
        self.typed.append(command)
        if command[1] == "submit":
            raise subprocess.TimeoutExpired(command, timeout)
        return Said(0, "", 0.0)

    def on(self, node: str, script: str) -> str:
        return "caffe-spark-job-chaos-1.service loaded active running\n"


def test_a_round_that_takes_too_long_fails_and_its_job_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = SlowStack(tmp_path)
    chaos = Chaos(stack, tmp_path, 7, limit=5.0)
    monkeypatch.setattr(chaos, "_killed", lambda *_, **__: Said(1, STOPPED, 1.0))

    line = chaos.take(VICTIMS[0])

    assert line.startswith("FAIL driver")
    assert "5.0 seconds" in line
    assert stack.typed[-1] == ("fab", "kill", "--stack", "slow", "chaos-1")

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tools.acceptance.test_run import eventually
from tools.acceptance import steps
from tools.acceptance.plan import Step
from tools.acceptance.steps import Outcome, Runner

LONGER = "sleep 0.7"
"""Than the runner looks away."""


def run(tmp_path: Path, script: str, *, stop: bool = False, unit: float = 60, whole: bool = False) -> Outcome:
    runner = Runner(tmp_path, tmp_path / "logs", dict(os.environ), unit=unit)
    if stop:
        runner.stop.set()
    return runner.run(Step("x", ("sh", "-c", script), 1), whole=whole)


def test_a_step_ends_with_its_output_and_the_reason_of_a_failure(tmp_path: Path) -> None:
    outcome = run(tmp_path, "echo said; echo warned >&2; exit 4")
    assert (outcome.ok, outcome.why, outcome.output) == (False, "status 4", "said\nwarned\n")
    assert outcome.log.read_text().endswith("said\nwarned\n")


def test_a_step_runs_to_its_end_where_its_log_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "01-x.log").symlink_to("/dev/full")
    assert run(tmp_path, "yes | head -c 1000000; echo said").output.endswith("said\n")
    (tmp_path / "elsewhere").touch()
    runner = Runner(tmp_path, tmp_path / "elsewhere" / "logs", dict(os.environ))
    assert runner.run(Step("x", ("true",), 1), whole=True).ok


def test_a_signal_ends_a_step_but_none_of_the_teardown(tmp_path: Path) -> None:
    assert run(tmp_path, LONGER, stop=True).why == "interrupted"
    assert run(tmp_path, LONGER, stop=True, whole=True).ok


def test_a_step_ends_at_its_own_limit_with_all_that_it_started(tmp_path: Path) -> None:
    outcome = run(tmp_path, f"sleep 600 & echo $! >{tmp_path}/pid; wait", unit=0.3, whole=True)
    assert outcome.why == "it ran past its time limit"
    eventually(lambda: has_ended((tmp_path / "pid").read_text().strip()))


def has_ended(process: str) -> bool:
    """A zombie has, until its parent, this machine's first process, has looked."""
    try:
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_step_that_ignores_signals_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graces = tuple((number, 0.3) for number, _ in steps.GRACES)
    monkeypatch.setattr(steps, "GRACES", graces)
    script = "trap '' INT TERM; while :; do sleep 0.05; done"
    assert run(tmp_path, script, stop=True).why == "interrupted"

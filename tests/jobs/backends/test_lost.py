"""Why a job was lost, by what its head says."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from bootstrap.ssh.unit import Unit
from jobs.backends import lost
from jobs.backends.lost import Seen, parse, words
from tests.bootstrap.local_node import LocalNode

SINCE = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(2000))


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Seen(2000, 1000), f"head went down while it ran, and is up again since {SINCE}"),
        (Seen(2000, 3000), f"its driver was killed with all of its unit, and head stayed up (since {SINCE})"),
        (Seen(2000, 3000, "137"), "its driver was killed (status 137), and head stayed up"),
        (Seen(2000, 3000, "137", "memory"), "its driver was killed because head ran out of memory"),
        (Seen(2000, 3000, "", "memory"), "its driver was killed because head ran out of memory"),
    ],
)
def test_each_end_has_its_words(seen: Seen, said: str) -> None:
    assert words(seen, "head", "its driver") == said


def test_a_head_that_went_down_after_the_driver_was_killed_is_not_blamed() -> None:
    said = words(Seen(2000, 1000, "137", "signal"), "head", "its driver")

    assert said == "its driver was killed (status 137), and head stayed up"


def test_without_its_script_no_restart_is_claimed() -> None:
    assert "went down" not in words(Seen(2000, 0), "head", "its driver")


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    for name in ("job", "node"):
        (tmp_path / name).mkdir()
    (tmp_path / "job" / "run.sh").write_text("true")
    return Unit(LocalNode(tmp_path / "node"), "caffe-spark-job-mnist-1", str(tmp_path / "job"))


def why(unit: Unit) -> str:
    return lost.why(unit, "its driver")


def test_a_machine_that_came_up_after_the_unit_was_started_went_down(unit: Unit) -> None:
    assert "and head stayed up" in why(unit)

    # The test's machine has not been up for ten years.
    old = time.time() - 10 * 365 * 86400
    os.utime(Path(unit.folder, "run.sh"), (old, old))
    assert re.fullmatch(r"head went down while it ran, and is up again since \S+ \S+", why(unit))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("A process of this unit has been killed by the OOM killer.", "head ran out of memory"),
        ("u.service: Main process exited, code=killed, status=9/KILL", "with all of its unit"),
        ("iteration 100", "with all of its unit"),
    ],
)
def test_the_journal_tells_whether_memory_ran_out(unit: Unit, line: str, said: str) -> None:
    journal = f'case "$*" in *caffe-spark-job-mnist-1.service*) echo "{line}" ;; esac'
    unit.remote.fake("journalctl", journal)  # type: ignore[attr-defined]

    assert said in why(unit)


def test_the_status_that_is_left_is_read(unit: Unit) -> None:
    Path(unit.folder, "status").write_text("137\n")

    assert why(unit) == "its driver was killed (status 137), and head stayed up"


def test_what_a_job_wrote_into_its_status_is_no_second_line() -> None:
    assert parse("up 5\nbegan 6\nstatus\nresult signal\n") == Seen(5.0, 6.0, "", "signal")

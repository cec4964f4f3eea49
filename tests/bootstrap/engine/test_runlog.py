from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.engine import runlog
from bootstrap.engine.command import Command
from tests.at_once import at_once


def test_logs_lie_in_the_projects_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".state").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = runlog.default_folder(1_700_000_000.25)
    assert folder.parent == tmp_path / ".state" / "log"
    assert folder.name.startswith("bootstrap-2023111")
    assert folder.name.endswith("-250")


def test_outside_a_project_they_lie_where_the_users_logs_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert runlog.default_folder().is_relative_to(tmp_path / "state" / "caffe-spark")


def test_two_runs_in_one_moment_have_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".state").mkdir()
    monkeypatch.chdir(tmp_path)
    made = at_once(*[lambda: runlog.new_folder("build", 1_700_000_000.25)] * 4)
    assert len(set(made)) == 4
    assert all(folder.is_dir() for folder in made)


def test_only_the_last_lines_are_kept_for_messages(tmp_path: Path) -> None:
    log = runlog.NodeLog(tmp_path / "logs", "w1")
    step = log.begin(Command("r", "count", "false", "true"))
    for number in range(100):
        step.line(str(number))
    assert list(step.tail)[-1] == "99"
    assert len(step.tail) == runlog.TAIL
    assert len(log.path.read_text().splitlines()) == 103


def test_lines_of_steps_that_run_at_the_same_time_are_told_apart(tmp_path: Path) -> None:
    log = runlog.NodeLog(tmp_path / "logs", "w1")
    one, two = log.begin(Command("a", "one", "", "")), log.begin(Command("b", "two", "", ""))
    for step, text in ((one, "of one"), (two, "of two"), (two, "of two again"), (one, "of one again")):
        step.line(text)
    assert log.path.read_text().split("----\n")[-1].splitlines() == [
        "==== … a: one",
        "of one",
        "==== … b: two",
        "of two",
        "of two again",
        "==== … a: one",
        "of one again",
    ]

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.engine import runlog
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
    for number in range(100):
        log.line(str(number))
    assert list(log.tail)[-1] == "99"
    assert len(log.tail) == runlog.TAIL
    assert len(log.path.read_text().splitlines()) == 100

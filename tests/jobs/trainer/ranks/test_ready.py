"""The task on a new executor: what it waits for, and what its log says."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.trainer.ranks import notice, ready
from jobs.trainer.ranks.notice import Notice


@pytest.fixture(autouse=True)
def _no_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice, "read", lambda: None)


def test_a_node_on_which_the_imports_work_is_ready() -> None:
    assert ready.obstacle("import json") is None


def test_a_node_without_caffe_is_not_ready_and_the_reason_is_pythons_last_line() -> None:
    assert ready.obstacle("import json, no_caffe_here") == (
        "ModuleNotFoundError: No module named 'no_caffe_here'"
    )


def test_a_library_that_ends_the_process_is_told_with_its_status() -> None:
    assert ready.obstacle("import os; os.abort()") == "status -6"


def test_modules_are_found_where_the_ranks_find_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shipped_with_the_job.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert ready.obstacle("import shipped_with_the_job") is None


def test_a_node_about_to_be_taken_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice, "read", lambda: Notice("spot instance reclaimed", 1e9))
    assert ready.obstacle("import json") == "spot instance reclaimed"


def test_the_task_ends_when_the_node_is_ready_and_its_log_has_each_reason_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = ["no caffe", "no caffe", "a library is missing", None]
    monkeypatch.setattr(ready, "obstacle", lambda: reasons.pop(0))
    monkeypatch.setattr(ready, "PERIOD_S", 0.0)
    assert list(ready.wait(iter([]))) == [1]
    assert not reasons
    assert capsys.readouterr().err == ("no rank here yet: no caffe\nno rank here yet: a library is missing\n")

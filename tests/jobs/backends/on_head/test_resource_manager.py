"""The ResourceManager as the head asks it."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from jobs.backends.on_head import resource_manager as module
from jobs.backends.on_head.resource_manager import Contents, ResourceManager


def test_frames_of_yarns_log_tool_are_left_out() -> None:
    printed = ["Container: c", "LogType:stderr", "LogContents:", "a", "", "b", "End of LogType:stderr", "***"]
    assert list(filter(Contents().has, printed)) == ["a", "", "b"]


def manager(folder: Path, script: str) -> ResourceManager:
    tool = folder / "yarn"
    tool.write_text(f"#!/bin/sh\necho LogContents:\n{script}\necho 'End of LogType:stdout'\n")
    tool.chmod(0o755)
    return ResourceManager("http://head:8088", str(tool))


def test_of_a_log_the_first_lines_are_skipped_or_only_the_last_are_kept(tmp_path: Path) -> None:
    asked = manager(tmp_path, "seq 5")

    assert asked.log("a", "stdout") == ["1", "2", "3", "4", "5"]
    assert asked.log("a", "stdout", skip=3) == ["4", "5"]
    assert asked.log("a", "stdout", last=2) == ["4", "5"]


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    asked = manager(tmp_path, "printf 'a\\342\\200\\250b\\n'")

    assert asked.log("a", "stdout") == ["a\u2028b"]


def test_a_large_log_is_read_in_little_memory(tmp_path: Path) -> None:
    asked = manager(tmp_path, f"yes '{'a line of the log that says nothing new':1000}' | head -n 45000")

    tracemalloc.start()
    lines = asked.log("a", "stdout", last=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (len(lines), peak < 1 << 20) == (10, True)


def test_a_log_tool_that_does_not_end_is_ended_and_what_it_printed_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_S", 0.5)
    asked, began = manager(tmp_path, "echo a; exec sleep 20"), time.monotonic()

    assert asked.log("a", "stdout") == ["a"]
    assert time.monotonic() - began < 15


def test_a_kill_that_yarn_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "KILL_S", 0.3)
    began = time.monotonic()

    manager(tmp_path, "exec sleep 20").kill("application_1")

    assert "-kill application_1` did not end within" in capsys.readouterr().out
    assert time.monotonic() - began < 15

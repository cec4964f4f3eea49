"""Long commands: a full log, and the last lines on failure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed
from tools.progress import run


def test_output_goes_to_the_log_and_its_end_to_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    run("greeting", ["echo", "hello"], log=tmp_path / "a" / "log", fix="", note=seen.append)
    assert seen == ["hello"]
    assert (tmp_path / "a" / "log").read_text() == "\n$ echo hello\nhello\n"
    shown = capsys.readouterr().out
    assert "greeting: done" in shown
    assert "hello" not in shown


def test_a_failure_shows_the_last_lines_and_the_path_of_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    script = "print(*range(100), sep='\\n'); raise SystemExit(3)"
    with pytest.raises(CommandFailed) as raised:
        run("counting", [sys.executable, "-c", script], log=log, fix="Count again.")
    assert raised.value.exit_code == 3
    assert str(log) in raised.value.why
    assert raised.value.fix == "Count again."
    shown = capsys.readouterr().err.split()
    assert shown[-1] == "99"
    assert "50" not in shown


def test_a_missing_command_is_an_expected_failure(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no such command"):
        run("nothing", ["no-such-command-anywhere"], log=tmp_path / "log", fix="Install it.")


def test_commands_get_no_input_to_wait_for(tmp_path: Path) -> None:
    run("reading", ["cat"], log=tmp_path / "log", fix="")

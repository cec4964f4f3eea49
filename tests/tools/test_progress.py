"""Long commands: a full log, and the last lines on failure."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed
from tools import processes
from tools.progress import run


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "KILL_GRACE_S", 0.3)


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


def test_a_command_that_does_not_end_is_ended_at_its_limit_with_what_it_started(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 1000 & echo $! >child; wait; sleep 1000"
    with pytest.raises(CommandFailed) as raised:
        run("waiting", ["sh", "-c", script], log=tmp_path / "log", fix="Wait.", cwd=tmp_path, limit=0.3)
    assert "did not end within 0.3 s; the full log is" in raised.value.why
    child = (tmp_path / "child").read_text().strip()
    deadline = time.monotonic() + 10
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(child)


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_missing_command_is_an_expected_failure(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no such command"):
        run("nothing", ["no-such-command-anywhere"], log=tmp_path / "log", fix="Install it.")


def test_commands_get_no_input_to_wait_for(tmp_path: Path) -> None:
    run("reading", ["cat"], log=tmp_path / "log", fix="")

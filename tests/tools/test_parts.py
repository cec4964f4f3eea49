"""Parts that run at the same time: their results, the first failure, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bootstrap.errors import CommandFailed
from tools import processes
from tools.environment import ROOT
from tools.parts import Parts
from tools.processes import Stopped, programs
from tools.progress import run


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "KILL_GRACE_S", 0.3)


def test_parts_run_at_the_same_time_and_one_may_wait_for_another() -> None:
    both = threading.Barrier(2)
    with Parts() as parts:
        first = parts.start(lambda: both.wait(10))
        second = parts.start(lambda: both.wait(10))
        third = parts.start(lambda: first.result() + second.result())
    assert third.result() == 1


def test_the_first_failure_ends_the_other_parts_and_is_the_one_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    started = tmp_path / "started"
    with pytest.raises(CommandFailed) as raised, Parts() as parts:
        slow = parts.start(
            lambda: run("slow", ["sh", "-c", f"touch {started}; sleep 1000 & wait"], log=log, fix="")
        )
        parts.start(lambda: run("broken", failing(started, 3), log=tmp_path / "broken", fix="Try again."))
    assert raised.value.given == "broken"
    assert str(tmp_path / "broken") in raised.value.why
    assert isinstance(slow.exception(), Stopped)
    shown = capsys.readouterr()
    assert "slow: stopped" in shown.out
    assert "went wrong" in shown.err


def test_a_part_that_has_to_come_to_its_end_is_waited_for(tmp_path: Path) -> None:
    started, done = tmp_path / "started", tmp_path / "done"
    script = f"touch {started}; sleep 0.5; touch {done}"
    with pytest.raises(CommandFailed, match="broken"), Parts() as parts:
        parts.start(lambda: run("whole", ["sh", "-c", script], log=tmp_path / "log", fix="", whole=True))
        parts.start(lambda: run("broken", failing(started, 1), log=tmp_path / "broken", fix=""))
    assert done.exists()


def test_no_program_starts_after_a_failure(tmp_path: Path) -> None:
    failed = threading.Event()

    def late() -> None:
        failed.wait(10)
        run("late", ["touch", str(tmp_path / "late")], log=tmp_path / "log", fix="")

    def broken() -> None:
        # The flag is up before the late part asks to start: `end` is called for this failure.
        threading.Timer(0.3, failed.set).start()
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"), Parts() as parts:
        parts.start(late)
        parts.start(broken)
    assert not (tmp_path / "late").exists()
    programs.check()  # the next block may start programs again


def test_ctrl_c_ends_all_parts_and_what_they_have_started(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from tools.parts import Parts
from tools.progress import run
folder = Path({str(tmp_path)!r})
def part(name):
    run(name, ["sh", "-c", f"sleep 1000 & echo $! >{{folder}}/{{name}}.new; mv {{folder}}/{{name}}.new "
        f"{{folder}}/{{name}}; wait"], log=folder / "log", fix="")
try:
    with Parts() as parts:
        parts.start(lambda: part("one"))
        parts.start(lambda: part("two"))
except KeyboardInterrupt:
    sys.exit(130)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    children = [int(when_there(tmp_path / name)) for name in ("one", "two")]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "one: stopped" in out
    assert "two: stopped" in out
    assert not any(processes.alive(pid) for pid in children)


def failing(after: Path, status: int) -> list[str]:
    """A command that fails once another one has made a file."""
    script = f"until [ -e {after} ]; do sleep 0.02; done; echo went wrong; exit {status}"
    return ["sh", "-c", script]


def when_there(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        os.sched_yield()
        time.sleep(0.01)
    return path.read_text()

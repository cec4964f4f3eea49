"""The copy of a job's events in shared storage."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jobs.trainer.events.mirror import Mirror
from tests.jobs.trainer.written import Files


def test_events_are_copied_when_there_are_new_ones_and_at_the_end(tmp_path: Path) -> None:
    source, files = tmp_path / "events.jsonl", Files()
    source.write_text("one\n")
    mirror = Mirror(files, source, "wasbs://x", interval=60)
    source.write_text("one\ntwo\n")
    mirror.close()
    assert files.written == ["one\ntwo\n"]


def test_a_copy_that_fails_is_tried_again_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(log))
    source, files = tmp_path / "events.jsonl", Files()
    source.write_text("one\n")
    files.fails = 1
    mirror = Mirror(files, source, "wasbs://x", interval=60)
    mirror._copy()
    mirror.close()
    assert files.written == ["one\n"]
    assert log.getvalue() == b"events are not copied to wasbs://x: no storage\n"


def test_the_last_copy_is_tried_again_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.trainer.events.mirror.AGAIN", 0)
    source, files = tmp_path / "events.jsonl", Files()
    source.write_text("one\n")
    files.fails = 1
    Mirror(files, source, "wasbs://x", interval=60).close()
    assert files.written == ["one\n"]


def test_a_storage_that_hangs_does_not_keep_the_job_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("jobs.trainer.events.mirror.CLOSING", 0.1)
    source, over = tmp_path / "events.jsonl", threading.Event()
    source.write_text("one\n")

    class Hanging:
        def write(self, *_: str) -> None:
            over.wait(30)

    closing = threading.Thread(target=Mirror(Hanging(), source, "wasbs://x", interval=60).close, daemon=True)
    closing.start()
    closing.join(5)
    ended = not closing.is_alive()
    over.set()
    assert ended
    assert "events are not copied to wasbs://x: the last copy takes longer" in capsys.readouterr().out


def test_what_has_not_grown_is_not_copied_again_and_a_byte_is_growth(tmp_path: Path) -> None:
    source, files = tmp_path / "events.jsonl", Files()
    source.write_text("")
    mirror = Mirror(files, source, "wasbs://x", interval=60)
    assert mirror._copy()
    assert files.written == []

    source.write_text("1")
    assert mirror._copy()
    assert mirror._copy()
    mirror.close()

    assert files.written == ["1"]


HANGING = """
import sys, threading
from pathlib import Path
from types import SimpleNamespace
from jobs.trainer.events import mirror
mirror.CLOSING = 0.1
hangs = SimpleNamespace(write=lambda *_: threading.Event().wait())
mirror.Mirror(hangs, Path(sys.argv[1]), "wasbs://x", interval=60).close()
"""


def test_a_process_ends_while_storage_hangs(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("one\n")

    ended = subprocess.run(
        [sys.executable, "-c", HANGING, str(tmp_path / "events.jsonl")], timeout=60, check=False
    )

    assert ended.returncode == 0

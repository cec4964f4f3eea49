"""The driver's journal: its file, and the lines that it shows."""

from __future__ import annotations

import io
import json
from pathlib import Path

from jobs.trainer import contract
from jobs.trainer.events.journal import Journal


def test_the_events_file_holds_json_lines_that_begin_with_the_kind(tmp_path: Path, journal: Journal) -> None:
    journal.phase("train")
    journal.add(contract.Progress(7, 9, 0.5, 1.0))
    journal.close()

    lines = (tmp_path / "events.jsonl").read_text().splitlines()

    assert [line.split(", ")[0] for line in lines] == ['{"event": "phase"', '{"event": "progress"']
    assert json.loads(lines[1])["iteration"] == 7
    assert json.loads(lines[1])["time"] > 0


def test_display_lines_look_like_caffes() -> None:
    shown = io.StringIO()
    journal = Journal(None, shown)

    journal.add(contract.Display(100, 200, 0.25, 2000.4, lr=0.01))
    journal.add(contract.Validation(100, values={"accuracy": [0.5], "loss": [1.0]}))

    assert shown.getvalue().splitlines() == [
        "Iteration 100, loss = 0.25, lr = 0.01, 2000 images/s",
        "Iteration 100, validation: accuracy = 0.5, loss = 1",
    ]


def test_an_event_that_comes_after_the_end_is_shown_alone(tmp_path: Path) -> None:
    shown = io.StringIO()
    journal = Journal(tmp_path / "late.jsonl", shown)
    journal.close()
    journal.phase("train")
    journal.close()
    assert shown.getvalue() == "--- train\n"
    assert (tmp_path / "late.jsonl").read_text() == ""

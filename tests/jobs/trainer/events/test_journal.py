"""The driver's journal: its file, and the lines that it shows."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

from jobs.trainer import contract
from jobs.trainer.events.journal import Journal, shown


def test_the_events_file_holds_json_lines_that_begin_with_the_kind(tmp_path: Path, journal: Journal) -> None:
    journal.phase("train")
    journal.add(contract.Progress(7, 9, 0.5, 1.0))
    journal.close()

    lines = (tmp_path / "events.jsonl").read_text().splitlines()

    assert [line.split(", ")[0] for line in lines] == ['{"event": "phase"', '{"event": "progress"']
    assert json.loads(lines[1])["iteration"] == 7
    assert json.loads(lines[1])["time"] > 0


def test_display_lines_look_like_caffes() -> None:
    screen = io.StringIO()
    journal = Journal(None, screen)

    journal.add(contract.Display(100, 200, 0.25, 2000.4, lr=0.01))
    journal.add(contract.Validation(100, values={"accuracy": [0.5], "loss": [1.0]}))

    assert screen.getvalue().splitlines() == [
        "Iteration 100, loss = 0.25, lr = 0.01, 2000 images/s",
        "Iteration 100, validation: accuracy = 0.5, loss = 1",
    ]


def test_an_event_that_comes_after_the_end_is_shown_alone(tmp_path: Path) -> None:
    screen = io.StringIO()
    journal = Journal(tmp_path / "late.jsonl", screen)
    journal.close()
    journal.phase("train")
    journal.close()
    assert screen.getvalue() == "--- train\n"
    assert (tmp_path / "late.jsonl").read_text() == ""


def test_a_line_is_shown_before_the_next_event_comes() -> None:
    pipe = io.BytesIO()
    journal = Journal(None, io.TextIOWrapper(pipe))

    journal.phase("data")

    assert pipe.getvalue() == b"--- data\n"


def test_what_explains_a_failure_is_kept_and_nothing_else(journal: Journal) -> None:
    rank = contract.RankStarted(1, "w2", "10.9.8.12")
    failure = contract.RankFailed(1, "w2", contract.SILENT, "killed")
    snapshot, validation = contract.Snapshot(40, 50), contract.Validation(30, 50, {"loss": [1.0]})
    journal.phase("train")
    assert (journal.iteration, journal.snapshot, journal.placed) == (0, None, {})

    for event in (
        rank,
        contract.Executors("a", {"1": {"host": "w2", "container": ""}}),
        contract.Progress(41, 50),
        validation,
        contract.Snapshot(20, 50),
        snapshot,
        failure,
        contract.Note("the end"),
    ):
        journal.add(event)

    assert (journal.ranks, journal.placed, journal.iteration) == ({1: rank}, {"1": "w2"}, 41)
    assert (journal.failures, journal.snapshot, journal.validations) == ([failure], snapshot, [validation])


def test_a_job_ends_once(tmp_path: Path, journal: Journal) -> None:
    journal.finish(contract.Done(1.5))
    journal.finish(contract.Failed("stage-failed"))
    journal.close()

    [line] = (tmp_path / "events.jsonl").read_text().splitlines()
    assert contract.load(line) == contract.Done(1.5)


def test_a_file_that_is_not_stored_is_shown_with_the_next_attempt_or_none() -> None:
    failed = contract.UploadFailed(100, "hdfs://h/m", "no space", 2)

    assert shown(failed) == (
        "Iteration 100, hdfs://h/m is not stored (attempt 2): no space; no further attempt"
    )
    assert shown(replace(failed, retry_s=5.0)).endswith("no space; next attempt in 5 s")


def test_other_lines_name_what_has_happened() -> None:
    assert [
        shown(event)
        for event in (
            contract.RankStarted(1, "w2"),
            contract.RankFailed(1, "w2", contract.OWN, "no disk"),
            contract.Converting("TRAIN", 60000),
            contract.Snapshot(40, 50, "hdfs://h/m", "hdfs://h/s"),
            contract.Rounds(3, "hdfs://h/v"),
            contract.Note("odd"),
            contract.Progress(7, 9),
        )
    ] == [
        "rank 1 on w2",
        "rank 1 on w2 failed: no disk",
        "TRAIN records converted: 60,000",
        "Iteration 40, snapshot: hdfs://h/s",
        "3 rounds of validation: hdfs://h/v",
        "note: odd",
        "",
    ]

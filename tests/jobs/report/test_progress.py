"""Progress display and errors, from a job's log and events."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from jobs.report.progress import View
from jobs.trainer import contract


def event(kind: str, **values: Any) -> str:
    return json.dumps({"event": kind, "time": 1.0, **values})


DISPLAY = event(
    "display", iteration=100, max_iter=2000, loss=0.25, lr=0.01, images_per_s=2512.3, seconds=5.0, left_s=95.2
)


MISSING = event(
    "failed",
    code="rank-failed",
    fields={
        "rank": 1,
        "host": "w2",
        "reason": "ImportError: libopenblas.so.0: cannot open shared object file",
    },
)


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def view(out: io.StringIO) -> View:
    return View(Console(file=out, width=60))


def test_lines_of_the_log_and_events_are_told_apart() -> None:
    assert contract.load(DISPLAY) is not None
    assert contract.load("WARN something") is None
    assert contract.load('{"event": cut off') is None
    assert contract.load('{"SampleID": "1"}') is None


def test_a_validation_of_several_nets_shows_each_with_its_number(view: View, out: io.StringIO) -> None:
    values = {"accuracy#0": [0.5], "accuracy#1": [0.25], "ip2#1": [1.0, 2.0]}
    with view:
        view.line(contract.dump(contract.stamped(contract.Validation(50, 100, values))))

    assert out.getvalue() == "iteration     50 validation  accuracy#0 0.5000  accuracy#1 0.2500\n"


def test_an_upload_that_fails_is_told_at_once(view: View, out: io.StringIO) -> None:
    failed = contract.UploadFailed(50, "hdfs://h/m_iter_50.caffemodel", "no space", 2, 5.0)
    with view:
        view.line(contract.dump(contract.stamped(failed)))
        view.line(contract.dump(contract.stamped(contract.UploadFailed(50, "hdfs://h/m", "no space", 3))))

    assert out.getvalue().splitlines() == [
        "iteration     50 warning   hdfs://h/m_iter_50.caffemodel is not stored (attempt 2): no space; "
        "next attempt in 5 s",
        "iteration     50 warning   hdfs://h/m is not stored (attempt 3): no space; no further attempt",
    ]


def test_without_a_terminal_progress_is_plain_lines(view: View, out: io.StringIO) -> None:
    with view:
        for line in (event("phase", phase="train"), "noise of a JVM", DISPLAY):
            view.line(line)
        view.line(event("validation", iteration=100, values={"accuracy": [0.912], "ip2": [1.0, 2.0]}))

    assert out.getvalue().splitlines() == [
        "train",
        "iteration    100 of 2000  loss 0.2500  lr 0.010000  2,512 images/s  1:35 left",
        "iteration    100 validation  accuracy 0.9120",
    ]


def test_records_that_are_converted_are_counted(view: View, out: io.StringIO) -> None:
    with view:
        view.line(event("phase", phase="data"))
        for records in (12_000, 60_000):
            view.line(event("converting", phase="TRAIN", records=records))

    assert out.getvalue().splitlines()[1:] == [
        "TRAIN records converted: 12,000",
        "TRAIN records converted: 60,000",
    ]


def test_time_left_keeps_its_minutes_whole(view: View, out: io.StringIO) -> None:
    view.line(DISPLAY.replace("95.2", "119.7"))

    assert "2:00 left" in out.getvalue()


def test_on_a_terminal_a_bar_follows_the_iterations(
    out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever runs the tests may have none that draws.
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=out, width=120, force_terminal=True)
    with View(console) as view:
        view.line(event("phase", phase="train"))
        view.line(event("progress", iteration=500, max_iter=2000, loss=0.5, images_per_s=1000.0, left_s=1.0))
        view._progress.refresh()
        view.line(event("phase", phase="score"))

    assert "500 of 2000  loss 0.5000  1,000 images/s  0:01 left" in out.getvalue()
    assert "score" in out.getvalue()


def test_the_trainers_own_words_explain_a_failure(view: View) -> None:
    view.line(event("rank-failed", rank=1, host="w2", origin="peer", reason="echo"))
    view.line(event("failed", code="output-exists", fields={"uri": "hdfs:///o"}))

    error = view.failure("j", 2, "results/j/job.log")

    assert str(error) == (
        "job j: -output hdfs:///o: it exists, and results are not overwritten. "
        "Remove it, or give another path. The full log: results/j/job.log"
    )


@pytest.mark.parametrize("fields", [{}, {"of": "another version"}])
def test_a_failure_of_another_version_is_told_by_its_message(view: View, fields: dict[str, str]) -> None:
    view.line(event("failed", code="new-code", fields=fields, message="the disk: it melts. Cool it."))

    assert "job j: it failed: the disk: it melts. Cool it." in str(view.failure("j", 1, "log"))


def test_without_words_the_end_of_the_log_explains_it(view: View) -> None:
    for line in ("Exception in thread main", "java.lang.OutOfMemoryError: heap", ""):
        view.line(line)

    assert "it ended with status 1: java.lang.OutOfMemoryError: heap" in str(view.failure("j", 1, "log"))


def test_a_long_log_is_not_kept_whole(view: View) -> None:
    for number in range(10_000):
        view.line(f"line {number}")

    assert len(view.log) < 100
    assert view.log[-1] == "line 9999"


def test_what_is_known_of_a_failure_replaces_the_remedy(view: View) -> None:
    view.line(MISSING)

    said = str(view.failure("j", 1, "log", stack="dev"))

    assert "rank 1 on w2: ImportError: libopenblas.so.0" in said
    assert "`fab build-headnode --stack dev`" in said
    assert "Run the job again" not in said


def test_the_whole_log_is_searched_for_what_is_known(view: View) -> None:
    log = "WARN x: Container killed by YARN for exceeding physical memory limits. 1.3 GB of 1 GB used.\n"

    said = str(view.failure("j", 1, "log", text=log + "line\n" * 100))

    assert "YARN killed a container" in said
    assert "used 1.3 GB of memory, and it had asked for 1 GB" in said


def test_before_there_are_executors_it_is_the_drivers_node_that_failed(view: View) -> None:
    view.line(event("application", id="a", state="FAILED", host="w1"))

    assert "the disk of w1 is full" in str(view.failure("j", 1, "log", text="No space left on device"))


def test_with_executors_nobody_is_named_that_the_log_does_not_name(view: View) -> None:
    view.line(event("application", id="a", state="FAILED", host="w1"))
    view.line(event("executors", executors={"1": {"host": "w2"}}))

    assert "the disk of a node is full" in str(view.failure("j", 1, "log", text="No space left on device"))


WAITED = event("failed", code="executors-missing", fields={"requested": 2, "registered": 0})
FULL = "mkdir: cannot create directory: No space left on device\n"


def test_why_no_executor_came_is_told_where_the_log_says_it(view: View) -> None:
    view.line(WAITED)

    said = str(view.failure("j", 1, "log", text=f"{FULL}caffe-spark: 2 executors requested, 0 registered\n"))

    assert said.startswith("job j: 2 executors requested, 0 registered: ")
    assert "not as expected: the disk of a node is full." in said


def test_executors_that_did_not_come_are_told_where_the_log_says_no_more(view: View) -> None:
    view.line(WAITED)

    said = str(
        view.failure("j", 1, "log", text="caffe-spark: 2 executors requested, 0 registered\n", stack="dev")
    )

    assert "Run `fab status --stack dev` to see who holds it" in said
    assert "look for dead workers" not in said


def test_what_the_trainer_knows_is_not_replaced_by_what_else_the_log_shows(view: View) -> None:
    view.line(MISSING)

    assert "`fab build-headnode`" in str(view.failure("j", 1, "log", text=FULL))

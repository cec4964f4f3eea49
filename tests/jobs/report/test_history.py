"""History of a job: its events, and values derived from them."""

from __future__ import annotations

from jobs.report.history import History
from jobs.trainer import contract
from jobs.trainer.contract import dump, stamped


def test_lines_that_hold_no_event_are_skipped() -> None:
    lines = [dump(contract.Phase("start")), "", "WARN x", dump(contract.Phase("train"))]

    assert [event.phase for event in History.load(lines).all(contract.Phase)] == ["start", "train"]


def test_the_last_of_a_kind_is_found_and_displays_are_progress_too() -> None:
    history = History([contract.Progress(1, 9), contract.Display(2, 9), contract.Phase("score")])

    assert history.last(contract.Progress) == contract.Display(2, 9)
    assert history.last(contract.Done) is None
    assert history.phase == "score"


def test_of_progress_only_the_last_of_a_row_is_kept() -> None:
    history = History(contract.Progress(number, 10**6) for number in range(5000))
    history.add(contract.Validation(5000))
    history.add(contract.Progress(5001, 10**6))
    history.add(contract.Display(5002, 10**6))

    assert history.events == [
        contract.Progress(4999, 10**6),
        contract.Validation(5000),
        contract.Display(5002, 10**6),
    ]


def test_an_application_is_known_by_yarns_report_or_by_sparks() -> None:
    assert History().application == ""
    assert History([contract.Executors("app-1")]).application == "app-1"
    assert (
        History([contract.Application("application_7"), contract.Executors("x")]).application
        == "application_7"
    )


def test_it_ends_with_its_latest_event() -> None:
    assert History().end == 0
    assert History([stamped(contract.Done(), 7.0), stamped(contract.Note("x"), 5.0)]).end == 7.0

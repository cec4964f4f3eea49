"""Events that a job has forged: whatever their values, no command of the operator ends in a traceback."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from jobs.job import JobPlace, JobRecord, SubmittedJob
from jobs.report import training
from jobs.report.curve import Curve
from jobs.report.history import History
from jobs.report.progress import View
from jobs.report.summary import summarise
from jobs.run.status import table
from jobs.trainer import contract
from jobs.trainer.contract import EVENTS, Event, load
from tests.jobs.specs import mnist_spec

SPEC = mnist_spec()
HOSTILE: list[Any] = [
    None,
    True,
    -1,
    7,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "x",
    "NaN",
    "\x1b[2J{x}",
    [],
    [1],
    ["x"],
    [{}],
    [{"rank": 0}],
    [{"rank": [], "waited_seconds": "x"}],
    [{"rank": 0, "waited_seconds": float("inf")}],
    {},
    {"a": 5},
    {"a": []},
    {"a": ["x"]},
    {"a": [float("nan")]},
    {"accuracy": [1e308, 2]},
    {"accuracy": "x"},
    {"1": "w1"},
    {"1": {"host": 5}},
    {"1": {"host": "w1", "container": []}},
]
GOOD: dict[str, Any] = {"int": 3, "float": 0.5, "str": "x"}


def lines(event: type[Event]) -> list[str]:
    """The event with a hostile value in each of its fields, one at a time."""
    fields = dataclasses.fields(event)
    given = {item.name: GOOD[str(item.type)] for item in fields if str(item.type) in GOOD}
    return [
        json.dumps({"event": event.kind, **given, item.name: value}) for item in fields for value in HOSTILE
    ]


def record(history: History, *, active: bool) -> JobRecord:
    job = SubmittedJob(SPEC, "key", JobPlace("mnist-1", "/f/mnist-1", "hdfs://h/mnist-1"))
    return JobRecord(job, 1.0, active, None if active else 1, history)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_it_breaks_no_command(event: type[Event]) -> None:
    accepted = [line for line in lines(event) if load(line) is not None]
    assert accepted
    for line in accepted:
        try:
            show(line)
        except Exception as error:
            pytest.fail(f"{line[:200]}: {type(error).__name__}: {error}")


NAMES = ["$x^", "a\\$", "_hidden", "\x1b[2J", "\ud800", "汉字", "x" * 5000, "a/b", "", "#1", "{}", "%s"]


def test_a_curve_of_forged_events_is_drawn(tmp_path: Path) -> None:
    curve = Curve()
    curve.add(contract.Display(5, 9, 0.5))
    for event in (contract.Training, contract.Display, contract.Validation, contract.Snapshot):
        for accepted in filter(None, map(load, lines(event))):
            curve.add(accepted)
    for name in NAMES:
        curve.add(contract.Validation(7, values={name: [0.5], f"{name}2": [1.0, -1e308], f"{name}#1": []}))
        curve.add(contract.Validation(7, values={name: [1.0] * 9}))
    for number in range(100):
        curve.add(contract.Validation(8, values={f"output{number}": [1e36 * (-1) ** number]}))
    for number in range(2000):
        curve.add(contract.Snapshot(2**62 + number))

    assert len(training.write(curve, "mnist-1", tmp_path)) == 2


def show(line: str) -> None:
    """Give a line to everything that reads events."""
    console = Console(file=io.StringIO(), width=200)
    with View(console) as view:
        view.line(line)
        view.failure("mnist-1", 1, "/log")
    console.print(table([record(view.history, active=active) for active in (True, False)], [], 100.0))
    summary = summarise("mnist-1", SPEC, "key", [], view.history)
    console.print(summary.table())
    json.dumps(summary.validations)

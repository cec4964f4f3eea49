"""Contract between the writers and the readers of a job's events."""

from __future__ import annotations

import ast
import dataclasses
import json
import math
import signal
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeGuard

import pytest

from jobs.trainer import contract
from jobs.trainer.contract import EVENTS, Event, dump, load, stamped, start_of
from jobs.trainer.contract.lines import START

JOBS = Path(contract.__file__).parents[2]
HERE = JOBS / "trainer" / "contract"
SAMPLES: list[Event] = [
    contract.Phase("train"),
    contract.Note("-persistent has no effect"),
    contract.RankStarted(1, "w2", "10.9.8.12"),
    contract.RankStep(1, contract.LOADING),
    contract.Executors("app-1", {"0": {"host": "w1", "container": ""}}),
    contract.Data({"TRAIN": 60000}),
    contract.Converting("TRAIN", 12000),
    contract.Training(2, 10, 4, "hdfs://h/m.solverstate"),
    contract.Progress(7, 100, 0.5, 2000.0, 1.0, None),
    contract.Display(7, 100, 0.5, 2000.0, 1.0, 12.5, lr=0.01),
    contract.Validation(100, 200, {"accuracy": [0.9]}),
    contract.Snapshot(100, 200, "hdfs://h/m.caffemodel", "hdfs://h/m.solverstate", timed=True),
    contract.UploadFailed(100, "hdfs://h/m.caffemodel", "no space", 1, 5.0),
    contract.RankFailed(1, "w2", contract.NATIVE, "Check failed", tail=["a", "b"]),
    contract.Interruption("w2", "the cloud reclaims it", 1700000120.0),
    contract.WorkersLost(90, ["w2"], "executor-lost", {"executor": "1"}, "killed"),
    contract.Recovery(2, 80, 1, 2, 10, 12.5, "iter_size 2", ["w1"]),
    contract.Trained(100, 6400, 2.0, 3200.0, "abc", ["w1"], "hdfs://h/m", [{"rank": 0}]),
    contract.Rounds(19, "hdfs://h/m.validation"),
    contract.Means({"loss": [0.1]}, 10000, "hdfs://h/o"),
    contract.Failed("output-exists", {"uri": "hdfs://h/o"}, contract.REFUSED, "it exists"),
    contract.Done(12.5),
    contract.Application("application_1", "RUNNING", "container_1", "w1", "said"),
    contract.Waiting("the queue is full"),
]


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.kind)
def test_what_is_written_is_read_back(event: Event) -> None:
    read = load(dump(stamped(event, 12.5)))

    assert read == event
    assert read is not None
    assert read.time == 12.5


def test_every_kind_has_a_sample_and_a_name_of_its_own() -> None:
    assert {type(event) for event in SAMPLES} == set(EVENTS)
    assert len({event.kind for event in EVENTS}) == len(EVENTS)


def test_the_kind_comes_first_so_that_a_line_is_known_by_its_start() -> None:
    for event in SAMPLES:
        assert dump(event).startswith(start_of(type(event)))


def test_fields_of_a_newer_writer_are_dropped_and_those_of_an_older_one_have_defaults() -> None:
    newer = json.loads(dump(contract.Waiting("x"))) | {"since": 4}

    assert load(json.dumps(newer)) == contract.Waiting("x")
    assert load('{"event": "trained", "time": 1.0}') == contract.Trained()


ONE_WHERE_LEFT_OUT = {"average_loss", "iter_size", "exit_code"}
"""Means are of one iteration and of one batch; a failure that does not say so is no refusal."""


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.kind)
def test_a_field_that_an_older_writer_leaves_out_is_empty(kind: type[Event]) -> None:
    for field in dataclasses.fields(kind):
        made = field.default_factory
        default = field.default if made is dataclasses.MISSING else made()
        if default is not dataclasses.MISSING:
            assert default == 1 if field.name in ONE_WHERE_LEFT_OUT else not default


def test_times_are_in_milliseconds_up_to_a_year_that_calendars_hold() -> None:
    last = contract.LAST_SECOND
    assert datetime.fromtimestamp(last, timezone.utc).year == 4147
    assert stamped(contract.Done(), 1.23456).time == 1.235
    assert [load(f'{{"event": "done", "time": {at}}}') for at in (last - 1, last)] == [contract.Done(), None]
    unstamped = load('{"event": "done"}')
    assert unstamped is not None
    assert unstamped.time == 0


def test_whole_numbers_are_of_64_bits() -> None:
    line = '{{"event": "progress", "iteration": {}, "max_iter": 9, "loss": {}}}'

    for held in (2**63, -(2**63)):
        assert load(line.format(held, held)) == contract.Progress(held, 9, float(held))
    for larger in (2**63 + 1, -(2**63) - 1):
        assert load(line.format(larger, 0)) is None
        assert load(line.format(0, larger)) is None


def test_a_job_ends_with_the_status_of_a_process() -> None:
    # Wrappers, workflows and records of earlier versions know these numbers.
    assert (contract.DONE, contract.FAILED, contract.REFUSED) == (0, 1, 2)
    assert contract.KILLED == contract.SIGNALLED + signal.SIGTERM == 143


@pytest.mark.parametrize(
    "line",
    [
        "WARN a line of a log",
        '{"event": cut off',
        '{"event": "unheard-of"}',
        '{"event": ["phase"]}',
        '{"event": "progress", "iteration": 7}',
        '{"event": "progress", "iteration": "7", "max_iter": 9}',
        '{"event": "progress", "iteration": true, "max_iter": 9}',
        '{"event": "executors", "executors": ["w1"]}',
        '{"event": "phase", "phase": "train", "time": "noon"}',
        '{"SampleID": "1"}',
        f'{{"event": "phase", "phase": "train", "time": 1{"0" * 400}}}',
        '{"event": "phase", "phase": "train", "time": 1e300}',
        '{"event": "phase", "phase": "train", "time": -1}',
        '{"event": "phase", "phase": "train", "time": Infinity}',
        '{"event": "phase", "phase": "train", "time": NaN}',
        f'{{"event": "failed", "fields": {"[" * 100_000}',
        f'{{"event": "progress", "iteration": 1, "max_iter": 9, "loss": 1{"0" * 400}}}',
        f'{{"event": "progress", "iteration": 1{"0" * 400}, "max_iter": 9}}',
        '{"event": "validation", "iteration": 1, "values": {"a": 5}}',
        '{"event": "validation", "iteration": 1, "values": {"a": ["x"]}}',
        '{"event": "trained", "ranks": [1]}',
        '{"event": "trained", "hosts": [1]}',
        '{"event": "done", "seconds": true}',
        '{"event": "done", "seconds": []}',
    ],
    ids=lambda line: line[:60],
)
def test_a_line_that_does_not_fit_is_not_an_event(line: str) -> None:
    assert load(line) is None


def test_figures_that_are_no_numbers_are_written_as_json_and_read_back() -> None:
    line = dump(contract.Progress(1, 9, math.inf, -math.inf, math.nan))

    assert [json.loads(line)[name] for name in ("loss", "images_per_s", "seconds")] == [
        "Infinity",
        "-Infinity",
        "NaN",
    ]
    read = load(line)
    assert isinstance(read, contract.Progress)
    assert (read.loss, read.images_per_s) == (math.inf, -math.inf)
    assert math.isnan(read.seconds)


def by_hand(node: ast.AST) -> TypeGuard[ast.expr]:
    """Return whether a node makes an event without its class: as a dictionary, or as a line's text."""
    if isinstance(node, ast.Dict):
        return any(isinstance(key, ast.Constant) and key.value == "event" for key in node.keys)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dict":
        return any(word.arg == "event" for word in node.keywords)
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and START in node.value


def test_events_are_made_by_their_classes_alone() -> None:
    found = [
        f"{file.relative_to(JOBS)}:{node.lineno}"
        for file in sorted(JOBS.rglob("*.py"))
        if HERE not in file.parents
        for node in ast.walk(ast.parse(file.read_text()))
        if by_hand(node)
    ]

    assert found == []


def test_every_class_of_events_is_declared() -> None:
    subclasses = {kind for event in Event.__subclasses__() for kind in (event, *event.__subclasses__())}

    assert {kind.__name__ for kind in subclasses} == {event.__name__ for event in EVENTS}


def test_every_field_has_a_type_that_readers_check() -> None:
    checked = {"bool", "int", "float", "str", "Optional[float]"}
    for event in EVENTS:
        for field in dataclasses.fields(event):
            assert str(field.type) in checked or str(field.type).startswith(("Dict[", "List[")), (
                event,
                field,
            )


@pytest.mark.parametrize("file", sorted(HERE.rglob("*.py")), ids=lambda file: str(file.relative_to(HERE)))
def test_it_is_written_for_python_3_8(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 8))
    checker = [str(Path(sys.executable).with_name("vermin")), "--quiet", "--violations", "-t=3.8-"]

    held = subprocess.run([*checker, str(file)], capture_output=True, check=False)

    assert held.returncode == 0, held.stdout


def test_it_runs_with_the_standard_library_alone() -> None:
    program = f"import sys; sys.path.insert(0, {str(JOBS.parent)!r})"
    program += "; import jobs.trainer.contract, jobs.trainer.contract.failures"
    # -S: no site-packages; of the project, only the contract and the packages around it are imported.
    program += "; print([name for name in sys.modules if name.startswith(('jobs', 'bootstrap', 'infra'))])"

    alone = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )

    assert alone.returncode == 0, alone.stderr
    imported = set(ast.literal_eval(alone.stdout))
    assert imported == {
        "jobs",
        "jobs.trainer",
        "jobs.trainer.contract",
        "jobs.trainer.contract.failures",
        *(".".join(file.relative_to(JOBS.parent).with_suffix("").parts) for file in HERE.rglob("[!_]*.py")),
    }

"""Drivers that are lost and begin again: what they find, and what they go on with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.trainer import contract, restart
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.restart import Record, Records, load

FOLDER = "hdfs://h/jobs/m-1"
SNAPSHOT = contract.Snapshot(180, 300, "hdfs://h/m.caffemodel", "hdfs://h/m.solverstate", timed=True)
RECORD = Record(
    generation=2,
    owners=("a", "b"),
    origin=150,
    reached=200,
    images=2400,
    seconds=5.5,
    snapshots=(SNAPSHOT,),
    validations=(contract.Validation(160, 300, {"accuracy": [0.5]}),),
    lost_seconds=2.5,
)


class Storage:
    """Files of shared storage, which may refuse."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.refusals: list[TrainerError] = []

    def exists(self, uri: str) -> bool:
        return uri in self.texts

    def write(self, uri: str, text: str) -> None:
        self.texts[uri] = text

    def head(self, uri: str, size: int) -> bytes:
        return self.texts[uri].encode()[:size]

    def fetch(self, uri: str, target: Path) -> None:
        target.write_text(self.texts[uri])

    def remove(self, uri: str) -> None:
        self.texts.pop(uri, None)

    def make_folder(self, _: str) -> None:
        if self.refusals:
            raise self.refusals.pop()


@pytest.fixture
def running(tmp_path: Path) -> Any:
    conf = {
        contract.ON_DRIVER_LOST_CONF: "restart",
        contract.ON_WORKER_LOST_CONF: "shrink",
        contract.CONTROL_CONF: FOLDER,
    }
    journal = SimpleNamespace(add=lambda _: None)
    return SimpleNamespace(files=Storage(), folder=tmp_path, conf=conf, size=2, records=None, journal=journal)


def test_a_driver_finds_what_the_one_before_it_has_written(running: Any) -> None:
    assert Records(running, FOLDER).earlier is None
    trained = contract.Trained(150, model="hdfs://h/m")
    written = RECORD._replace(trained=trained, obsolete=("hdfs://h/m.solverstate",))
    Records(running, FOLDER).write(written)

    assert Records(running, FOLDER).earlier == written


def test_of_records_in_turn_the_newest_that_is_whole_counts(running: Any) -> None:
    records = Records(running, FOLDER)
    for generation in (1, 2, 3):
        records.write(RECORD._replace(generation=generation))
    assert Records(running, FOLDER).earlier == RECORD._replace(generation=3)

    newest = next(uri for uri, text in running.files.texts.items() if '"generation": 3' in text)
    running.files.texts[newest] = running.files.texts[newest][:-2]
    assert Records(running, FOLDER).earlier == RECORD._replace(generation=2)


def test_a_driver_that_follows_goes_on_counting_and_overwrites_the_older_one(running: Any) -> None:
    Records(running, FOLDER).write(RECORD)
    Records(running, FOLDER).write(RECORD._replace(generation=3))
    assert len(running.files.texts) == 2
    assert Records(running, FOLDER).earlier == RECORD._replace(generation=3)


def test_a_record_that_tells_nothing_new_is_not_written(running: Any) -> None:
    records = Records(running, FOLDER)
    records.write(RECORD)
    before = dict(running.files.texts)
    # Seconds up to the snapshot are by the attempt's mean pace, which moves a little all the time.
    records.write(RECORD._replace(reached=201, seconds=5.6))
    assert running.files.texts == before


def test_when_a_job_is_over_nothing_is_left_of_its_records(running: Any) -> None:
    records = Records(running, FOLDER)
    records.write(RECORD)
    records.write(RECORD._replace(generation=3))
    records.remove()
    assert running.files.texts == {}


@pytest.mark.parametrize(
    "text", ["", "end\n", "{}\nend\n", "[1]\nend\n", '{"number": "x"}\nend\n', "\x00\nend"]
)
def test_a_text_that_is_no_record_is_none(text: str) -> None:
    assert load(text) is None


def test_a_job_that_does_not_ask_for_it_keeps_no_records(running: Any) -> None:
    running.conf[contract.ON_DRIVER_LOST_CONF] = "fail"
    restart.begin(running)
    assert running.records is None


def test_a_driver_that_begins_takes_no_record_of_another_job_for_its_own(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(contract.RESTARTS_ENV, "0")
    Records(running, FOLDER).write(RECORD)
    restart.begin(running)
    assert running.records.earlier is None
    assert running.files.texts == {}


def test_a_driver_that_begins_again_and_is_asked_to_end_does_so_with_its_snapshot(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(contract.RESTARTS_ENV, "1")
    running.executors = SimpleNamespace(ready=list)
    running.earlier = RECORD
    running.files.texts[f"{FOLDER}/{contract.STOP_FILE}"] = "the budget is spent"
    with pytest.raises(TrainerError, match="it was stopped at iteration 200: the budget is spent") as stopped:
        restart.await_executors(running)
    assert stopped.value.fields["snapshot"] == SNAPSHOT.state


def test_storage_that_refuses_a_record_does_not_end_a_job(
    running: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(uri: str, *_: str) -> None:
        raise TrainerError("storage-failed", uri=uri, action="written", reason="no NameNode")

    records = Records(running, FOLDER)
    monkeypatch.setattr(running.files, "write", refuse)
    monkeypatch.setattr(running.files, "remove", refuse)
    records.keep(RECORD)
    records.remove()
    assert capsys.readouterr().out.count("no NameNode") == 2


def test_a_job_that_asks_for_it_finds_the_record_and_says_that_it_begins_again(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(contract.RESTARTS_ENV, "1")
    Records(running, FOLDER).write(RECORD)
    said = list[str]()
    running.journal.add = lambda event: said.append(event.message)

    restart.begin(running)

    assert running.records.earlier == RECORD
    assert said == ["the driver was lost, and begins again"]


def test_a_driver_that_begins_again_waits_for_storage(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart, "_PAUSE_S", 0.0)
    monkeypatch.setenv(contract.RESTARTS_ENV, "1")
    running.files.refusals = [
        Refused("hdfs-safe-mode", uri=FOLDER),
        TrainerError("storage-failed", uri=FOLDER, action="created", reason="no NameNode"),
    ]

    restart.await_storage(running.files, running.conf, 2)

    assert running.files.refusals == []


def test_a_driver_that_begins_waits_for_nothing(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(contract.RESTARTS_ENV, raising=False)
    running.files.refusals = [Refused("hdfs-safe-mode", uri=FOLDER)]
    restart.await_storage(running.files, running.conf, 2)
    assert running.files.refusals


def test_storage_that_does_not_come_up_in_time_ends_the_job_with_its_reason(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(contract.RESTARTS_ENV, "1")
    running.conf[contract.REPLACEMENT_LIMIT_CONF] = "0"
    running.files.refusals = [Refused("hdfs-safe-mode", uri=FOLDER)]
    with pytest.raises(Refused, match="safe mode"):
        restart.await_storage(running.files, running.conf, 2)


@pytest.mark.parametrize(
    ("action", "there", "together", "enough"),
    [("shrink", 2, 60.0, True), ("shrink", 1, 0.0, True), ("shrink", 0, 0.0, False), ("wait", 1, 0.0, False)],
)
def test_it_begins_again_with_the_executors_that_its_policy_goes_on_with(
    running: Any, monkeypatch: pytest.MonkeyPatch, action: str, there: int, together: float, enough: bool
) -> None:
    monkeypatch.setattr(restart, "TOGETHER_S", together)
    monkeypatch.setenv(contract.RESTARTS_ENV, "1")
    running.conf[contract.ON_WORKER_LOST_CONF] = action
    running.conf[contract.REPLACEMENT_LIMIT_CONF] = "0.3"
    running.executors = SimpleNamespace(
        ready=lambda: ["0", "1"][:there],
        missing=lambda size: TrainerError("executors-missing", requested=size, registered=there),
    )
    if enough:
        restart.await_executors(running)
        return
    with pytest.raises(TrainerError, match="2 executors requested"):
        restart.await_executors(running)

"""The journal of the environment, the solver's file, and the values that go over those of prototxts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.trainer import contract
from jobs.trainer.environment import failed, open_journal, overrides, solver_file, training_job
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.events.channel import Channel
from tests.jobs.trainer.events.conftest import Inbox


def test_events_go_to_the_file_and_the_feed_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inbox = Inbox()
    channel = Channel("127.0.0.1", inbox.add)
    (tmp_path / "feed").write_text(channel.address.text)
    monkeypatch.setenv("CAFFE_SPARK_EVENTS", str(tmp_path / "events"))
    monkeypatch.setenv("CAFFE_SPARK_FEED", str(tmp_path / "feed"))

    journal = open_journal()
    journal.phase("data")
    journal.close()

    assert inbox.wait(1) == [contract.Phase("data")]
    channel.close()
    assert contract.load((tmp_path / "events").read_text()) == contract.Phase("data")
    assert capsys.readouterr().out == "--- data\n"


def test_without_an_environment_events_are_shown_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CAFFE_SPARK_EVENTS", "CAFFE_SPARK_FEED"):
        monkeypatch.delenv(name, raising=False)

    journal = open_journal()
    journal.phase("data")
    journal.close()

    assert capsys.readouterr().out == "--- data\n"
    assert list(tmp_path.iterdir()) == []


def test_the_event_of_an_error_has_its_code_and_its_status() -> None:
    lost = TrainerError("peer-lost", reason="closed")

    assert failed(lost) == contract.Failed("peer-lost", {"reason": "closed"}, 1, str(lost))
    assert failed(Refused("conf-missing")).exit_code == 2


def test_a_solver_is_where_it_is_named_or_among_the_files_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "s").touch()
    assert solver_file("given/s") == Path("given/s")
    assert solver_file("missing/s") == Path("missing/s")

    (tmp_path / "s").touch()
    assert solver_file("given/s") == Path("given/s")
    assert solver_file("missing/s") == Path("s")


@pytest.mark.parametrize(("resize", "size"), [(True, (28, 28)), (False, ())])
def test_images_are_resized_where_the_option_says_so(
    prototxts: Path, pb: Any, resize: bool, size: tuple[int, ...]
) -> None:
    assert [blob.resize for blob in training_job(str(prototxts), pb, resize=resize).train.blobs] == [size]


def test_without_variables_nothing_is_overridden() -> None:
    assert set(overrides({"MAX_ITER": "1"}).values()) == {""}


def test_values_are_read_by_their_prefix() -> None:
    given = {"CAFFE_SPARK_OVERRIDE_MAX_ITER": "7", "CAFFE_SPARK_OVERRIDE_SOLVER_MODE": "GPU"}

    found = overrides({**given, "CAFFE_SPARK_OVERRIDE_FINAL_VALIDATION": "1"})

    assert (found["max_iter"], found["solver_mode"], found["final_validation"]) == ("7", "GPU", "1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_ITER", "1"),
        ("BATCH", "1"),
        ("SOLVER_MODE", "CPU"),
        ("FINAL_VALIDATION", "0"),
        ("TRAIN_SOURCE", "s3a://b/c"),
    ],
)
def test_a_valid_value_is_taken_as_it_is(name: str, value: str) -> None:
    assert overrides({f"CAFFE_SPARK_OVERRIDE_{name}": value})[name.lower()] == value


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("MAX_ITER", "0", "Give a whole number"),
        ("BATCH", "many", "Give a whole number"),
        ("BATCH", "0", "Give a whole number"),
        ("BATCH", "1.5", "Give a whole number"),
        ("SOLVER_MODE", "gpu", "Give CPU or GPU"),
        ("FINAL_VALIDATION", "false", "Give 0 or 1"),
    ],
)
def test_a_value_that_is_not_valid_is_refused_with_its_variable(name: str, value: str, fix: str) -> None:
    with pytest.raises(Refused, match=f"CAFFE_SPARK_OVERRIDE_{name}: it is '{value}'. {fix}"):
        overrides({f"CAFFE_SPARK_OVERRIDE_{name}": value})

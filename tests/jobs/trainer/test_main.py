"""The trainer's program: command lines refused before Spark runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jobs.trainer.main import main as trainer
from tests.jobs.trainer.written import Files


class Probe:
    """A probe that builds nothing."""

    made: ClassVar[list[Probe]] = []

    def __init__(self, job: Any, folder: Path, evaluated: tuple[int, ...], smaller: int) -> None:
        self.job, self.closed = job, False
        self.made.append(self)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    files = Files()
    monkeypatch.setenv("CAFFE_SPARK_EVENTS", str(tmp_path / "events.jsonl"))
    monkeypatch.setenv("CAFFE_SPARK_EVENTS_URI", "wasbs://x")
    monkeypatch.setattr("jobs.trainer.main._jvm_alone", object)
    monkeypatch.setattr("jobs.trainer.files.hadoop.Files", lambda _: files)
    return files


def test_a_command_line_that_is_refused_is_copied_for_who_follows(copied: Files) -> None:
    assert trainer(["-bad"]) == 2
    last = json.loads(copied.written[-1].splitlines()[-1])
    assert (last["event"], last["code"], last["fields"]["option"]) == ("failed", "option-unknown", "-bad")


def test_a_job_is_refused_in_its_own_words_where_there_is_no_jvm_to_copy_them(
    copied: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise OSError("no JVM")

    monkeypatch.setattr("jobs.trainer.main._jvm_alone", fail)
    assert trainer(["-bad"]) == 2
    assert "events are not copied to wasbs://x: no JVM" in capsys.readouterr().out
    assert copied.written == []


def test_executors_that_cannot_exchange_gradients_are_refused_before_spark_starts_one(
    prototxts: Path, pb: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On YARN, where Spark's settings decide how many there are."""
    settings = {"spark.master": "yarn", "spark.executor.instances": "2"}
    monkeypatch.setattr("jobs.trainer.caffe.native.protos", lambda: pb)
    monkeypatch.setattr("jobs.trainer.caffe.native.is_cpu_build", lambda: True)
    monkeypatch.setattr("jobs.trainer.caffe.probe.Probe", Probe)
    monkeypatch.setattr("jobs.trainer.main._settings", lambda: settings)
    monkeypatch.setattr("jobs.trainer.main.session", lambda: pytest.fail("a session was started"))

    assert trainer(["-train", "-conf", str(prototxts), "-model", "m"]) == 2
    assert "-connection RDMA: only ethernet is supported" in capsys.readouterr().err
    assert Probe.made[-1].closed, "its subprocess would run on"


@pytest.mark.parametrize(("switch", "size"), [(["-resize"], (28, 28)), ([], ())])
def test_a_job_resizes_images_where_it_is_told_to(
    prototxts: Path, pb: Any, monkeypatch: pytest.MonkeyPatch, switch: list[str], size: tuple[int, ...]
) -> None:
    monkeypatch.setattr("jobs.trainer.caffe.native.protos", lambda: pb)
    monkeypatch.setattr("jobs.trainer.caffe.native.is_cpu_build", lambda: True)
    monkeypatch.setattr("jobs.trainer.caffe.probe.Probe", Probe)
    monkeypatch.setattr("jobs.trainer.main._settings", lambda: {"spark.executor.instances": "2"})

    trainer(["-train", "-conf", str(prototxts), "-model", "m", "-clusterSize", "2", *switch])

    job = Probe.made[-1].job
    layers = [job.train, *(test.data for test in job.tests)]
    assert [blob.resize for layer in layers for blob in layer.blobs] == [size, size]

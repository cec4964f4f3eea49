"""The trainer's program: command lines refused before Spark runs, and how it ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from jobs.trainer import contract
from jobs.trainer import main as module
from jobs.trainer.errors import TrainerError
from jobs.trainer.main import main as trainer
from jobs.trainer.session import stop
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


# ---- a job's end


class Spark:
    """A session, which notes what has been copied when it stops."""

    def __init__(self, files: Files) -> None:
        conf = SimpleNamespace(get=lambda _: "127.0.0.1")
        self.sparkContext = SimpleNamespace(getConf=lambda: conf)
        self.files, self.copied = files, list[Any]()

    def stop(self) -> None:
        self.copied = [contract.load(line) for line in "".join(self.files.written[-1:]).splitlines()]


@pytest.fixture
def spark(copied: Files, prototxts: Path, pb: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Spark:
    made = Spark(copied)
    monkeypatch.setattr("jobs.trainer.caffe.native.protos", lambda: pb)
    monkeypatch.setattr("jobs.trainer.caffe.native.is_cpu_build", lambda: True)
    monkeypatch.setattr("jobs.trainer.caffe.probe.Probe", Probe)
    monkeypatch.setattr("jobs.trainer.main._settings", dict)
    monkeypatch.setattr("jobs.trainer.main.session", lambda: made)
    monkeypatch.setattr("jobs.trainer.driver.Driver", lambda *_: SimpleNamespace(run=lambda *_: None))
    return made


def test_a_job_that_succeeds_ends_with_status_0_and_its_events_are_copied_while_there_is_a_jvm(
    spark: Spark, prototxts: Path
) -> None:
    assert trainer(["-train", "-conf", str(prototxts), "-model", "m"]) == 0

    assert spark.copied == [contract.Phase("start"), contract.Phase("stop"), contract.Done()]


def test_a_job_that_fails_ends_with_status_1_and_its_failure_is_copied_while_there_is_a_jvm(
    spark: Spark, prototxts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise TrainerError("peer-lost", reason="closed")

    monkeypatch.setattr("jobs.trainer.driver.Driver", lambda *_: SimpleNamespace(run=fail))

    assert trainer(["-train", "-conf", str(prototxts), "-model", "m"]) == 1

    assert [type(event) for event in spark.copied] == [contract.Phase, contract.Failed]
    assert capsys.readouterr().err.startswith("caffe-spark: ")


@pytest.mark.parametrize("missing", ["CAFFE_SPARK_EVENTS", "CAFFE_SPARK_EVENTS_URI"])
def test_without_a_place_for_its_events_a_job_copies_none(
    spark: Spark, prototxts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    monkeypatch.delenv(missing)

    assert trainer(["-train", "-conf", str(prototxts), "-model", "m"]) == 0

    assert spark.copied == []
    assert (tmp_path / "events.jsonl").exists() is (missing == "CAFFE_SPARK_EVENTS_URI")


def test_a_job_tells_how_long_it_took(
    spark: Spark, prototxts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CAFFE_SPARK_EVENTS_URI")

    trainer(["-train", "-conf", str(prototxts), "-model", "m"])

    done = contract.load((tmp_path / "events.jsonl").read_text().splitlines()[-1])
    assert isinstance(done, contract.Done)
    assert done.seconds > 0


def test_what_goes_wrong_beside_the_job_is_printed_at_once(
    copied: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("no JVM")

    log = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(log))
    monkeypatch.setattr(module, "_jvm_alone", fail)

    stop(SimpleNamespace(stop=fail))
    assert log.getvalue() == b"Spark did not stop: no JVM\n"
    assert module._mirror() is None
    assert log.getvalue().endswith(b"\nevents are not copied to wasbs://x: no JVM\n")


PROGRAM = """
import os, signal
from jobs.trainer.main import run

def program(words):
    print(*words, flush=True)
    if "terminated" in words:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    return 2

run(program)
"""


@pytest.mark.parametrize(("words", "status"), [(["-train", "x"], 2), (["terminated"], 143)])
def test_a_program_gets_the_processs_words_and_ends_with_its_status_or_a_signals(
    words: list[str], status: int
) -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout.split(), done.returncode) == (words, status)

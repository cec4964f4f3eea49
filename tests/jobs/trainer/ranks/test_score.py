"""Scoring: means over scored rows, and reports of parts that fail."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.trainer.caffe.prototxt import load
from jobs.trainer.contract import NATIVE, OWN
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.channel import Channel
from jobs.trainer.ranks.score import ScorePlan, Sums, SumsByPart, means_text, quoted, schema
from tests.jobs.trainer.events.conftest import Inbox

ROOT = Path(__file__).parents[4]
PART = """
import os, pickle, sys
import numpy
from types import SimpleNamespace
from jobs.trainer.caffe import native
from jobs.trainer.ranks import score
from tests.jobs.trainer import native_feed
from tests.jobs.trainer.messages import build

class Scorer:
    def __init__(self, source, net):
        self.net = SimpleNamespace(copy_from=lambda file: None)

    def run(self, feed, names):
        count = feed.upcoming()
        ids = feed.take(numpy.zeros((count, 1, 28, 28)), numpy.zeros(count))
        {body}

native_feed.install()
native.Scorer, native.protos = Scorer, build
told = []
for row in score.score_part(pickle.loads(sys.stdin.buffer.read()), 1, told.append):
    print(row[0])
assert [one.rows for one in told] == [2]
"""
FATAL = "F0131 12:00:00.000001 77 math.cpp:7] Check failed: n > 0 (0 vs. 0)"


def values(*rows: list[float]) -> np.ndarray:
    return np.asarray(rows, np.float32)


def test_sums_of_many_rows_keep_what_floats_would_lose() -> None:
    sums = Sums(["loss"])
    for _ in range(4):
        sums.add({"loss": values(*[[16777217.0]] * 1000)})

    assert sums.means() == {"loss": [float(np.float32(16777217.0))]}


def test_a_part_that_is_computed_again_counts_once() -> None:
    param, first, second = SumsByPart(), Sums(["a"]), Sums(["a"])
    first.add({"a": values([1.0])})
    second.add({"a": values([3.0])})

    parts = param.addInPlace(param.addInPlace(param.zero({}), {0: first}), {1: second})

    assert param.addInPlace(parts, {1: second}) == {0: first, 1: second}


def test_means_are_taken_element_by_element_over_all_rows() -> None:
    sums = Sums(["accuracy", "ip2"])
    sums.add({"accuracy": values([1.0], [0.0]), "ip2": values([1.0, 2.0], [3.0, 4.0])})
    sums.add({"accuracy": values([0.5]), "ip2": values([5.0, 9.0]), "other": values([1.0])})

    assert sums.means() == {"accuracy": [0.5], "ip2": [3.0, 5.0]}


def test_parts_may_be_summed_apart_and_one_may_be_empty() -> None:
    left, right = Sums(["a"]), Sums(["a"])
    left.add({"a": values([1.0])})
    right.add({"a": values([2.0])}).add({"a": values([6.0])})

    assert left.merge(right).merge(Sums(["a"])).means() == {"a": [3.0]}
    assert Sums(["a"]).merge(right).means() == {"a": [4.0]}


def test_a_small_last_batch_weighs_by_its_samples() -> None:
    sums = Sums(["accuracy"])
    for value, samples in ((0.9, 100), (0.5, 25)):
        sums.add({"accuracy": values(*[[value]] * samples)})

    assert sums.means()["accuracy"][0] == pytest.approx((90 + 12.5) / 125)


def test_no_rows_have_no_mean() -> None:
    with pytest.raises(TrainerError, match="no records"):
        Sums(["a"]).means()


def test_the_means_file_is_caffeonsparks() -> None:
    assert means_text({"accuracy": [0.99], "loss": [0.25, 1.0]}) == "accuracy: 0.99\nloss: 0.25,1.0\n"


@pytest.mark.usefixtures("spark_types")
def test_rows_have_an_id_and_floats_and_nothing_is_null() -> None:
    assert schema(["accuracy"]) == [
        ("SampleID", "string", False),
        ("accuracy", ("array", "float", False), False),
    ]


def test_nothing_is_summed_where_no_means_are_asked_for() -> None:
    assert Sums([]).add({}).rows == 0


def test_a_plan_is_not_changed() -> None:
    plan = ScorePlan(None, 2, None, "t", "m", (), ())  # type: ignore[arg-type]
    with pytest.raises(FrozenInstanceError):
        plan.size = 3  # type: ignore[misc]


def test_a_dot_in_a_columns_name_is_no_field_of_a_struct() -> None:
    assert [quoted(name) for name in ("loss", "fc.8", "a`b")] == ["`loss`", "`fc.8`", "`a``b`"]


@pytest.fixture
def part(
    prototxts: Path, pb: Any, database: Callable[..., Path], channel: Channel
) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Score a part in a process of its own, whose net does `body`."""
    job = load(prototxts, pb)
    uri = f"file:{database(4, shape=(1, 28, 28))}"

    def run(body: str, **changes: str) -> subprocess.CompletedProcess[bytes]:
        given: dict[str, Any] = {"uri": uri, **changes}
        test = replace(job.tests[0], data=replace(job.tests[0].data, batch=2, **given))
        made = replace(job, tests=(test,))
        plan = ScorePlan(made, 2, channel.address, given["uri"], "file:/m", ("accuracy",), ("accuracy",))
        return subprocess.run(
            [sys.executable, "-c", PART.format(body=body)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            input=pickle.dumps(plan),
            capture_output=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("body", "origin", "reason"),
    [
        (f'os.write(2, b"{FATAL}\\n"); os.abort()', NATIVE, "Check failed: n > 0 (0 vs. 0)"),
        ("os.kill(os.getpid(), 11)", NATIVE, "the worker process died (Segmentation fault)"),
        ('raise ValueError("of another shape")', OWN, "ValueError: of another shape"),
    ],
    ids=["FATAL", "SIGSEGV", "exception"],
)
def test_a_part_that_fails_is_reported_in_its_own_words_with_its_node(
    part: Callable[[str], Any], inbox: Inbox, body: str, origin: str, reason: str
) -> None:
    done = part(body)

    event = inbox.wait(1)[0]

    assert done.returncode != 0
    assert (event.rank, event.host, event.origin) == (1, os.uname().nodename, origin)
    assert event.reason == reason
    assert len(inbox.events) == 1


def test_samples_have_the_ids_of_their_source(
    part: Callable[..., Any], database: Callable[..., Path]
) -> None:
    body = "return ids, {'accuracy': numpy.ones((len(ids), 1))}"
    path = database(4, "converted", shape=(1, 28, 28), keys=[f"{i:010d}/cat {i}.jpg" for i in range(4)])

    assert part(body).stdout.decode().split("\n") == ["00000002", "00000003", ""]
    done = part(body, source_class="com.yahoo.ml.caffe.SeqImageDataSource", uri=f"file:{path}")
    assert done.stdout.decode().split("\n") == ["cat 2.jpg", "cat 3.jpg", ""]


def test_a_part_that_is_scored_reports_nothing(part: Callable[[str], Any], inbox: Inbox) -> None:
    done = part("return ids, {'accuracy': numpy.ones((len(ids), 1))}")

    assert done.returncode == 0, done.stderr.decode()
    assert inbox.events == []

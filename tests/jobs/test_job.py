"""A submitted job and its record."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from jobs.job import JobPlace, SubmittedJob, is_job_id
from tests.jobs.specs import mnist_spec

PLACE = JobPlace("mnist-1", "/f/mnist-1", "hdfs://h/jobs/mnist-1")
JOB = SubmittedJob(mnist_spec(), "key", PLACE)


def test_a_jobs_record_can_be_read_back() -> None:
    assert SubmittedJob.load(JOB.dump(), PLACE) == JOB


def test_a_record_does_not_say_which_job_it_is_or_where() -> None:
    elsewhere = JobPlace("../../x", "/etc", "hdfs://h/../x")
    forged = replace(JOB, place=elsewhere).dump()

    assert SubmittedJob.load(forged, PLACE).place == PLACE


def test_a_job_of_an_earlier_version_has_one_folder() -> None:
    record = json.loads(JOB.dump())
    del record["place"]["divided"]

    assert SubmittedJob.load(json.dumps(record), PLACE).place.work == "/f/mnist-1"
    assert PLACE.work == "/f/mnist-1/work"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch", "1/../../sessions"),
        ("batch", True),
        ("submitted", "now"),
        ("submitted", 1e300),
        ("submitted", -1),
        ("place", 7),
    ],
)
def test_a_record_with_other_kinds_of_values_is_of_another_version(name: str, value: Any) -> None:
    forged = {**json.loads(JOB.dump()), name: value}

    with pytest.raises((ValueError, KeyError, TypeError)):
        SubmittedJob.load(json.dumps(forged), PLACE)


@pytest.mark.parametrize("text", ["[]", "7", "null", "[" * 100_000, '{"spec": ' + "[" * 100_000])
def test_a_record_that_is_no_object_is_of_another_version(text: str) -> None:
    with pytest.raises(ValueError, match=r"object|nested"):
        SubmittedJob.load(text, PLACE)


@pytest.mark.parametrize("text", ["mnist-20260101-120000", "mnist-20260101-120000-2", "m"])
def test_an_id_is_a_name_and_the_time(text: str) -> None:
    assert is_job_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "--help", "-h", "..", "../x", "a/b", "a b", "a\n", "A", "a.b", "a\x1b[2J", "a\u202e", "é", "a" * 81],
)
def test_other_text_is_no_id(text: str) -> None:
    assert not is_job_id(text)

"""A submitted job and its record."""

from __future__ import annotations

from jobs.job import JobPlace
from jobs.spec import JobSpec
from jobs.submission.package import SubmittedJob
from tests.jobs.conftest import SPECS


def test_a_jobs_record_can_be_read_back() -> None:
    job = SubmittedJob(
        JobSpec.from_file(SPECS / "mnist.yaml"), "key", JobPlace("mnist-1", "/f", "hdfs://h/jobs/mnist-1")
    )

    assert SubmittedJob.load(job.dump()) == job

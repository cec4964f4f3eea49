"""A submitted job and its record."""

from __future__ import annotations

from jobs.job import JobPlace
from jobs.submission.package import SubmittedJob
from tests.jobs.specs import mnist_spec


def test_a_jobs_record_can_be_read_back() -> None:
    job = SubmittedJob(mnist_spec(), "key", JobPlace("mnist-1", "/f", "hdfs://h/jobs/mnist-1"))

    assert SubmittedJob.load(job.dump()) == job

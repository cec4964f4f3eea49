"""Jobs for fewer ranks than they are written for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from jobs.trainer.caffe.elastic import resized
from jobs.trainer.caffe.prototxt import TrainingJob, load


@pytest.fixture
def job(prototxts: Path, pb: Any) -> TrainingJob:
    read = load(prototxts, pb)
    return replace(read, train=replace(read.train, batch=64))


def solver(job: TrainingJob, pb: Any) -> Any:
    return text_format.Parse(job.solver, pb.SolverParameter())


def test_a_job_of_as_many_ranks_stays_as_it_is(job: TrainingJob, pb: Any) -> None:
    assert resized(job, 3, 3, pb) == (job, "")


@pytest.mark.parametrize(
    ("iter_size", "full", "ranks", "then"),
    [(1, 2, 1, 2), (1, 4, 2, 2), (3, 2, 1, 6), (2, 3, 2, 3), (1, 9, 3, 3)],
)
def test_an_iteration_keeps_its_records_where_they_divide(
    job: TrainingJob, pb: Any, iter_size: int, full: int, ranks: int, then: int
) -> None:
    made, rule = resized(replace(job, iter_size=iter_size), full, ranks, pb)

    assert (made.iter_size, solver(made, pb).iter_size) == (then, then)
    assert made.train == job.train
    assert made.rate == job.rate
    assert solver(made, pb).base_lr == solver(job, pb).base_lr
    assert made.train.batch * made.iter_size * ranks == 64 * iter_size * full
    assert rule == f"iter_size {then}: an iteration has the same {64 * iter_size * full:,} records"


def test_else_the_rate_falls_with_the_records(job: TrainingJob, pb: Any) -> None:
    made, rule = resized(job, 3, 2, pb)

    assert (made.iter_size, made.train) == (job.iter_size, job.train)
    assert made.rate.base == pytest.approx(job.rate.base * 2 / 3)
    assert solver(made, pb).base_lr == made.rate.base
    assert made.rate.at(100) / job.rate.at(100) == pytest.approx(2 / 3)
    assert rule == "an iteration has 128 of 192 records, and base_lr is 0.00666667 for 0.01"


@pytest.mark.parametrize(("iter_size", "ranks", "then"), [(1, 2, 20.0), (2, 1, 40.0), (1, 3, 10.0)])
def test_gradients_are_clipped_at_the_same_mean(
    job: TrainingJob, pb: Any, iter_size: int, ranks: int, then: float
) -> None:
    text = job.solver + f" clip_gradients: 10 iter_size: {iter_size}"

    made, _ = resized(replace(job, solver=text, iter_size=iter_size), 4, ranks, pb)

    # Caffe clips the sum over iter_size batches, before it divides it by their number.
    assert solver(made, pb).clip_gradients == then


def test_gradients_that_are_not_clipped_stay_so(job: TrainingJob, pb: Any) -> None:
    made, _ = resized(job, 4, 2, pb)

    assert not solver(made, pb).HasField("clip_gradients")

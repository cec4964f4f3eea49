"""Training job for fewer executors than its specification asks for.

The rule: the records of an iteration stay the same where that is possible without another batch, by more
batches of each rank in an iteration (iter_size), whose gradients are averaged as those of more ranks are. A
batch's memory and what layers take of it (BatchNorm) stay as they are. Caffe clips gradients before it
divides their sum by iter_size, so the limit grows with it. Else an iteration has fewer records, and the
learning rate falls with them: https://arxiv.org/abs/1706.02677, "linear scaling rule".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from google.protobuf import text_format

from jobs.trainer.caffe.prototxt import TrainingJob


class Resized(NamedTuple):
    """The job, and the rule in words; empty for the number of ranks that it is written for."""

    job: TrainingJob
    rule: str


def resized(job: TrainingJob, full: int, ranks: int, pb: Any) -> Resized:  # noqa: ANN401 - Caffe's messages
    """Return the job for `ranks` ranks, where it is written for `full` of them."""
    if ranks == full:
        return Resized(job, "")
    records = job.train.batch * job.iter_size * full
    solver = text_format.Parse(job.solver, pb.SolverParameter())
    batches = job.iter_size * full
    if batches % ranks == 0:
        solver.iter_size = batches // ranks
        if solver.clip_gradients > 0:
            solver.clip_gradients *= solver.iter_size / job.iter_size
        rule = "iter_size {}: an iteration has the same {:,} records"
        changed = replace(job, iter_size=solver.iter_size)
        rule = rule.format(solver.iter_size, records)
    else:
        solver.base_lr = job.rate.base * ranks / full
        changed = replace(job, rate=replace(job.rate, base=solver.base_lr))
        rule = "an iteration has {:,} of {:,} records, and base_lr is {:.6g} for {:.6g}"
        fewer = job.train.batch * job.iter_size * ranks
        rule = rule.format(fewer, records, solver.base_lr, job.rate.base)
    return Resized(replace(changed, solver=str(text_format.MessageToString(solver))), rule)

"""Scoring of the TEST source of a job that is prepared: rows, features, and the means of -test."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import Any, Iterator, Sequence, Tuple

from jobs.trainer import contract
from jobs.trainer.caffe.probe import Nets
from jobs.trainer.contract import SAMPLE_ID
from jobs.trainer.events.channel import Address
from jobs.trainer.files import storage
from jobs.trainer.ranks.score import ScorePlan, Sums, means_text, quoted, schema, score_part
from jobs.trainer.running import RunningJob


def scored(running: RunningJob, nets: Nets, channel: Address) -> Any:  # noqa: ANN401
    """Return a frame of the TEST source's rows, computed when used: features, label, outputs of -test."""
    columns = tuple(dict.fromkeys((*running.options.columns, *_outputs(running, nets))))
    plan = ScorePlan(
        running.job,
        running.ranks,
        channel,
        running.data.name(running.job.tests[0].data),
        running.nodes.add_model(running.model, written=running.options.train),
        columns,
    )
    rows = running.context.parallelize(range(running.ranks), running.ranks).mapPartitionsWithIndex(
        partial(_score_part, plan)
    )
    return running.spark.createDataFrame(rows, schema(columns), verifySchema=False)


def _outputs(running: RunningJob, nets: Nets) -> Tuple[str, ...]:
    """Return the outputs of the TEST net that -test takes the means of."""
    return nets.outputs if running.options.test else ()


def score(running: RunningJob, nets: Nets, channel: Address) -> None:
    """Score, and write the features and the means.

    Raises:
        TrainerError: scoring failed.
    """
    running.journal.phase("score")
    _store(running, scored(running, nets, channel), _outputs(running, nets))


def _store(running: RunningJob, frame: Any, outputs: Sequence[str]) -> None:  # noqa: ANN401
    """Write the features and the means."""
    from pyspark import StorageLevel

    options = running.options
    if options.features and options.test:
        frame = frame.persist(StorageLevel.MEMORY_AND_DISK)
    if options.features:
        with _scoring(running):
            selected = frame.select(SAMPLE_ID, *map(quoted, options.columns))
            selected.write.format(options.output_format).save(storage.whole(options.output))
    if options.test:
        summed = sums(running, frame, outputs)
        # -output has the features, if there are any.
        target = storage.whole(options.output) + (".means" if options.features else "")
        means = summed.means()
        running.files.write(target, means_text(means))
        running.journal.add(contract.Means(means, summed.rows, target))


def sums(running: RunningJob, frame: Any, outputs: Sequence[str]) -> Sums:  # noqa: ANN401
    """Compute the sums of columns of `scored`.

    Raises:
        TrainerError: scoring failed.
    """
    with _scoring(running):
        rows = frame.select(*map(quoted, outputs)).rdd
        summed: Sums = rows.aggregate(Sums(outputs), Sums.add, Sums.merge)
        return summed


@contextmanager
def _scoring(running: RunningJob) -> Iterator[None]:
    """Raise the cause of an action that fails in this block."""
    try:
        with running.executors.launching():
            yield
    except Exception as error:
        if running.executors.given_up:
            raise running.executors.missing(running.size) from error
        # Not a snapshot to resume from: training is over.
        raise running.failure(error, {"model": running.model} if running.options.train else {}) from error


def _score_part(plan: ScorePlan, part: int, _: Any) -> Any:  # noqa: ANN401
    return score_part(plan, part)

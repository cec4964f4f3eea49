"""Scoring of the TEST source of a job that is prepared: rows, features, and the means of -test."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Iterator, List, Mapping, Sequence, Tuple

from jobs.trainer import contract
from jobs.trainer.caffe.probe import Nets
from jobs.trainer.contract import FAIL, SAMPLE_ID
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.blame import is_loss, workers_lost
from jobs.trainer.events.channel import Address
from jobs.trainer.files import storage
from jobs.trainer.policy import policy
from jobs.trainer.ranks.score import ScorePlan, Sums, SumsByPart, means_text, quoted, schema, score_part
from jobs.trainer.running import RunningJob
from jobs.trainer.survivors import Survivors

MOST_AGAIN = 3
"""Times that scoring begins again after a loss."""


def scored(running: RunningJob, nets: Nets, channel: Address) -> Any:  # noqa: ANN401
    """Return a frame of the TEST source's rows, computed when used: features and label."""
    return _frame(running, _plan(running, nets, channel, running.options.columns, test=False), _unheard)


def sums(running: RunningJob, nets: Nets, channel: Address) -> Sums:
    """Compute the sums of the TEST net's outputs over the TEST source.

    Raises:
        TrainerError: scoring failed.
    """
    plan = _plan(running, nets, channel, (), test=True)
    with _scoring(running):
        parts = _parts(running).mapPartitionsWithIndex(partial(_sum_part, plan)).collect()
    return _merged(plan, dict(parts))


def score(running: RunningJob, nets: Nets, channel: Address) -> None:
    """Score, and write the features and the means; again where an executor is lost meanwhile.

    Raises:
        TrainerError: scoring failed.
    """
    running.journal.phase("score")
    rules = policy(running.conf, running.size)
    survivors = Survivors(running, rules)
    for left in reversed(range(1 + MOST_AGAIN)):
        try:
            _score(running, nets, channel)
        except TrainerError as failure:
            if not left or rules.action == FAIL or not is_loss(failure, running.journal):
                raise
            running.journal.add(workers_lost(failure, running.journal, running.job.max_iter))
            survivors.wait(failure)
            # Who scores from now on: no attempt at training tells it.
            running.journal.add(running.executors.described())
            running.journal.failures.clear()
            _tidy(running)
        else:
            return


def _score(running: RunningJob, nets: Nets, channel: Address) -> None:
    options = running.options
    if not options.features:
        _write_means(running, sums(running, nets, channel), storage.whole(options.output))
        return
    plan = _plan(running, nets, channel, options.columns, test=options.test)
    parts = running.context.accumulator({}, SumsByPart())
    frame = _frame(running, plan, partial(_tell, parts))
    with _scoring(running):
        selected = frame.select(SAMPLE_ID, *map(quoted, options.columns))
        selected.write.format(options.output_format).save(storage.whole(options.output))
    if options.test:
        # -output has the features.
        _write_means(running, _merged(plan, parts.value), storage.whole(options.output) + ".means")


def _tidy(running: RunningJob) -> None:
    """Remove what a scoring that failed has written; nothing was there before it, as preparation requires."""
    output = storage.whole(running.options.output)
    if running.options.features and not running.files.exists(output + "/_SUCCESS"):
        running.files.remove(output)


def _plan(
    running: RunningJob, nets: Nets, channel: Address, columns: Sequence[str], *, test: bool
) -> ScorePlan:
    return ScorePlan(
        running.job,
        running.ranks,
        channel,
        running.data.name(running.job.tests[0].data),
        running.nodes.add_model(running.model, written=running.options.train),
        tuple(columns),
        tuple(nets.outputs) if test else (),
    )


def _parts(running: RunningJob) -> Any:  # noqa: ANN401
    return running.context.parallelize(range(running.ranks), running.ranks)


def _frame(running: RunningJob, plan: ScorePlan, tell: Callable[[int, Sums], None]) -> Any:  # noqa: ANN401
    rows = _parts(running).mapPartitionsWithIndex(partial(_score_part, plan, tell))
    return running.spark.createDataFrame(rows, schema(plan.columns), verifySchema=False)


def _merged(plan: ScorePlan, parts: Mapping[int, Sums]) -> Sums:
    """Return the sums over all parts, added in their order."""
    total = Sums(plan.outputs)
    for part in sorted(parts):
        total.merge(parts[part])
    return total


def _write_means(running: RunningJob, summed: Sums, uri: str) -> None:
    means = summed.means()
    running.files.write(uri, means_text(means))
    running.journal.add(contract.Means(means, summed.rows, uri))


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


def _score_part(plan: ScorePlan, tell: Callable[[int, Sums], None], part: int, _: Any) -> Any:  # noqa: ANN401
    return score_part(plan, part, partial(tell, part))


def _sum_part(plan: ScorePlan, part: int, _: Any) -> Iterator[Tuple[int, Sums]]:  # noqa: ANN401
    """Yield the sums of a part, which are made where its rows are."""
    told: List[Sums] = []
    for _row in score_part(plan, part, told.append):
        pass
    yield part, told[0]


def _tell(parts: Any, part: int, sums: Sums) -> None:  # noqa: ANN401
    parts.add({part: sums})


def _unheard(part: int, sums: Sums) -> None:
    """Take sums that nobody asks for."""

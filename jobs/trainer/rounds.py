"""Rounds of interleaved validation as a table, CaffeOnSpark's `trainWithValidation` DataFrame.

A column per output of the TEST nets, array<float>, not null; a row per round. Departures: the first column is
the iteration, which the original's table lacks; rows are of all ranks' batches instead of one executor's; the
command line stores the table, which the original threw away.
"""

from __future__ import annotations

from typing import Any, Iterable, Iterator, List, Sequence, Tuple

from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.contract import Event, Note, Rounds, Validation

ITERATION = "iteration"
SUFFIX = ".validation"
"""Added to the URI of the model."""


def columns(rounds: Iterable[Validation]) -> Tuple[str, ...]:
    """Return the outputs of the TEST nets, in their order."""
    return tuple(dict.fromkeys(name for one in rounds for name in one.values))


def iteration_column(outputs: Sequence[str]) -> str:
    """Return the name of the column of iterations; names of columns do not differ by case alone."""
    name, taken = ITERATION, {output.lower() for output in outputs}
    while name in taken:
        name += "_"
    return name


def rows(rounds: Sequence[Validation]) -> List[Tuple[Any, ...]]:
    """Return a row per round: the iteration, then a list of floats per output."""
    names = columns(rounds)
    return [(one.iteration, *(one.values.get(name, []) for name in names)) for one in rounds]


def schema(outputs: Sequence[str]) -> Any:  # noqa: ANN401 - pyspark has no types here
    """Return the schema of the rows."""
    from pyspark.sql.types import ArrayType, FloatType, IntegerType, StructField, StructType

    floats = ArrayType(FloatType(), containsNull=False)
    first = StructField(iteration_column(outputs), IntegerType(), False)
    return StructType([first, *(StructField(name, floats, False) for name in outputs)])


def expected(job: TrainingJob, first: int) -> int:
    """Return the number of rounds of a run that starts at iteration `first`."""
    return sum(job.validates(iteration) for iteration in range(first, job.max_iter + 1))


def told(job: TrainingJob, first: int, rounds: Sequence[Validation], uri: str) -> Iterator[Event]:
    """Yield the events that tell of a table and of what it lacks, after a run from iteration `first` on."""
    if len(rounds) < expected(job, first):
        yield Note("{} lacks rounds that did not reach the driver".format(uri))
    if rounds:
        yield Rounds(len(rounds), uri)


def write(spark: Any, rounds: Sequence[Validation], uri: str, written_as: str) -> None:  # noqa: ANN401
    """Write the table as a folder in a format of Spark's, in one part, unless there are no rounds.

    It replaces an older one, as the model is. Exceptions are Spark's.
    """
    if not rounds:
        return
    frame = spark.createDataFrame(rows(rounds), schema(columns(rounds)))
    # One part keeps the order of the rounds for readers of its lines.
    frame.coalesce(1).write.mode("overwrite").format(written_as).save(uri)

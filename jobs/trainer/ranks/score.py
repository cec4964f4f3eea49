"""Scoring the TEST source: features per sample, and the means of the TEST net's outputs.

Ranges are cut at whole batches and the last batch may be smaller: every sample appears exactly once, and no
result depends on the number of executors. (CaffeOnSpark dropped each partition's tail.)
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

import numpy as np

from jobs.trainer.caffe import device
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.contract import OWN, SAMPLE_ID
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.channel import Address, Sender
from jobs.trainer.events.watch import failure, watched
from jobs.trainer.files.distribution import locate
from jobs.trainer.sources.registry import open_source, own_ids
from jobs.trainer.sources.shards import scored_batches


@dataclass(frozen=True)
class ScorePlan:
    """Input of a scoring task; files as in `plan.Plan`."""

    job: TrainingJob
    size: int
    channel: Address
    test: str
    model: str
    columns: Tuple[str, ...]
    """Blobs of each row, in order."""
    outputs: Tuple[str, ...] = ()
    """Blobs that are summed."""


Row = Tuple[Any, ...]
Values = Mapping[str, np.ndarray]
"""By blob, of shape (samples, length)."""
Told = Callable[["Sums"], None]


def score_part(plan: ScorePlan, part: int, tell: Told) -> Iterator[Row]:
    """Yield the rows of a part: the sample's id, then a list of floats per column; at its end tell the sums.

    A failure is reported to the driver with the node and, if Caffe aborts this process, with Caffe's words.
    """
    host = socket.gethostname()
    with watched(plan.channel, part, host):
        try:
            if plan.job.gpu:
                device.use_gpu(device.of_task())
            sums = Sums(plan.outputs)
            for ids, values in _batches(plan, part):
                sums.add(values)
                yield from zip(ids, *(values[name].tolist() for name in plan.columns))
            tell(sums)
        except Exception as error:
            sender = Sender(plan.channel)
            sender.send(failure(part, host, OWN, error))
            sender.close()
            raise


def _batches(plan: ScorePlan, part: int) -> Iterator[Tuple[Sequence[str], Values]]:
    """Yield ids and values of each batch."""
    from jobs.trainer.caffe import native
    from jobs.trainer.caffe.feed import Feed

    test = plan.job.tests[0]
    layer = test.data
    with tempfile.TemporaryDirectory(prefix="caffe-spark-") as folder:
        net = Path(folder) / "net.prototxt"
        net.write_text(test.net)
        scorer = native.Scorer(test, net)
    scorer.net.copy_from(str(locate(plan.model)))
    datum = native.protos().Datum
    source = open_source(layer.source_class, locate(plan.test), datum)
    with closing(source), closing(Feed(layer, source)) as feed:
        feed.ask(scored_batches(len(source), layer.batch, plan.size, part))
        names = tuple(dict.fromkeys((*plan.columns, *plan.outputs)))
        while feed.upcoming():
            ids, values = scorer.run(feed, names)
            yield own_ids(layer.source_class, ids), values


def schema(columns: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the schema: SampleID string, every column array<float>, not nullable."""
    from pyspark.sql.types import ArrayType, FloatType, StringType, StructField, StructType

    floats = ArrayType(FloatType(), containsNull=False)
    return StructType(
        [StructField(SAMPLE_ID, StringType(), False), *(StructField(name, floats, False) for name in columns)]
    )


def quoted(column: str) -> str:
    """Return a column's name for `select`, which takes a dot for a field of a struct."""
    return "`{}`".format(column.replace("`", "``"))


class Sums:
    """Sums over rows by column, from which the means are computed."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns, self.rows = tuple(columns), 0
        self.totals: Dict[str, np.ndarray] = {}

    def add(self, values: Values) -> "Sums":
        """Add the rows of a batch."""
        for name in self.columns:
            self.totals[name] = self.totals.get(name, 0.0) + values[name].sum(axis=0, dtype=np.float64)
        self.rows += len(values[self.columns[0]]) if self.columns else 0
        return self

    def merge(self, other: "Sums") -> "Sums":
        """Add the sums of other rows."""
        self.rows += other.rows
        for name, values in other.totals.items():
            self.totals[name] = self.totals.get(name, 0.0) + values
        return self

    def means(self) -> Dict[str, List[float]]:
        """Return the mean of each column over all rows, element by element.

        Raises:
            TrainerError: there are no rows.
        """
        if not self.rows:
            raise TrainerError("test-source-empty")
        return {name: (self.totals[name] / self.rows).tolist() for name in self.columns}


class SumsByPart:
    """Spark's accumulator of sums: a part that is computed again replaces its own."""

    def zero(self, _: Dict[int, Sums]) -> Dict[int, Sums]:
        """Return the value that nothing has been added to."""
        return {}

    def addInPlace(self, one: Dict[int, Sums], other: Dict[int, Sums]) -> Dict[int, Sums]:
        """Return the parts of both."""
        one.update(other)
        return one


def means_text(means: Dict[str, List[float]]) -> str:
    """Return a line per column, `name: v1,v2`, in CaffeOnSpark's format."""
    return "".join("{}: {}\n".format(name, ",".join(map(repr, values))) for name, values in means.items())

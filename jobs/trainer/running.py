"""Job on a running Spark context: what its preparation, its training and its scoring share."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from jobs.trainer import checks
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.cli import Options
from jobs.trainer.conversion import Conversions
from jobs.trainer.errors import TrainerError
from jobs.trainer.events import blame
from jobs.trainer.events.journal import Journal
from jobs.trainer.executors import Executors
from jobs.trainer.files.distribution import Distribution
from jobs.trainer.files.hadoop import Files

if TYPE_CHECKING:
    from jobs.trainer.restart import Record, Records

LATE_REPORTS_S = 3.0
"""Seconds to wait for reports of ranks after a stage has failed: they race with Spark's exception."""


class RunningJob:
    """A job with what it runs on; `nodes` and `executors` are those of a context that has had jobs before.

    Preparation sets `model`, and completes `job` by what nets and sources tell.
    """

    records: Optional[Records] = None
    """Records for a driver that begins again; None where the job's settings ask for none."""

    def __init__(  # noqa: PLR0917
        self,
        spark: Any,  # noqa: ANN401 - pyspark has no types here
        options: Options,
        job: TrainingJob,
        datum: Any,  # noqa: ANN401
        journal: Journal,
        folder: Path,
        nodes: Optional[Distribution] = None,
        executors: Optional[Executors] = None,
    ) -> None:
        self.spark, self.context = spark, spark.sparkContext
        self.options, self.job, self.datum, self.journal = options, job, datum, journal
        self.conf: Mapping[str, str] = dict(self.context.getConf().getAll())
        self.files, self.executors = Files(self.context), executors or Executors(self.context)
        self.nodes = nodes or Distribution(self.context, self.files, folder, self.conf)
        self.data = Conversions(spark, self.files, self.nodes, folder, journal, datum)
        self.size = checks.cluster_size(options, self.conf)
        self.ranks = self.size * options.devices
        self.folder, self.model = folder, ""

    @property
    def earlier(self) -> Optional[Record]:
        """The record of a driver before this one; None without one."""
        return self.records.earlier if self.records else None

    def failure(self, error: Exception, resume: Optional[Dict[str, Any]] = None) -> TrainerError:
        """Return the cause of a failed stage, with the snapshot to resume from or what `resume` has."""
        deadline = time.monotonic() + LATE_REPORTS_S
        while True:
            removed = self.executors.removed()
            if blame.settled(error, self.journal, removed) or time.monotonic() > deadline:
                return blame.explain(error, self.journal, removed, resume)
            time.sleep(0.05)

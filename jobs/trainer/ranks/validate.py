"""Interleaved validation: the TEST net on the solver's weights, its batches shared among the ranks."""

from __future__ import annotations

import time
from typing import Dict, List

import numpy as np

from jobs.trainer.caffe.native import Scorer
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.ranks.group import Ranks
from jobs.trainer.sources.base import RecordSource
from jobs.trainer.sources.batches import assemble
from jobs.trainer.sources.shards import validation_batches


class Validation:
    """Repeated validation; each one continues in the source where the last one stopped."""

    def __init__(self, job: TrainingJob, scorer: Scorer, source: RecordSource, ranks: Ranks) -> None:
        self._job, self._scorer, self._source, self._ranks = job, scorer, source, ranks
        self.seconds = 0.0

    def run(self, iteration: int) -> Dict[str, List[float]]:
        """Return the means of the TEST net's outputs over test_iter batches, the same on every rank.

        The batches depend on the iteration alone, so a resumed run validates on the same ones.
        """
        began = time.monotonic()
        job = self._job
        batch, names = job.test.batch, self._scorer.outputs
        starts = validation_batches(
            iteration // job.test_interval - 1,
            len(self._source),
            batch,
            test_iter=job.test_iter,
            size=self._ranks.size,
            rank=self._ranks.rank,
        )
        random = np.random.RandomState(0)
        sums = {name: np.zeros(self._scorer.length(name)) for name in names}
        for start in starts:
            records = list(self._source.read(start, start + batch))
            values = self._scorer.run(assemble(records, job.test.fit, random), names)
            for name in names:
                sums[name] += values[name].mean(axis=0, dtype=np.float64)
        # The mean over ranks times their number is the sum over ranks.
        total = self._ranks.allreduce_mean(np.concatenate([sums[name] for name in names])) * self._ranks.size
        means, place = {}, 0
        for name in names:
            means[name] = [float(value) / job.test_iter for value in total[place : place + sums[name].size]]
            place += sums[name].size
        self.seconds += time.monotonic() - began
        return means

    def close(self) -> None:
        """Close the source."""
        self._source.close()

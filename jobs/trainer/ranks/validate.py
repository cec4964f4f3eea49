"""Interleaved validation: TEST nets on the solver's weights, their batches shared among the ranks."""

from __future__ import annotations

import math
import time
from typing import Callable, Dict, Iterable, List, Optional

import numpy as np

from jobs.trainer.caffe.feed import Feed
from jobs.trainer.caffe.native import Scorer
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.ranks.group import Ranks
from jobs.trainer.sources.base import RecordSource
from jobs.trainer.sources.shards import validation_batches

TOTAL = "test_loss"
"""Name of what `test_compute_loss` adds: the sum of the losses, each times its weight."""
ALIVE_S = 1.0
"""Seconds between two signs of life."""


class Validations:
    """Validation of each TEST net that has batches for it."""

    def __init__(self, nets: "Iterable[Validation]") -> None:
        self._nets = list(nets)
        self.seconds = 0.0

    def close(self) -> None:
        """End the threads that read."""
        for net in self._nets:
            net.close()

    def run(self, iteration: int) -> Dict[str, List[float]]:
        """Return the means of all nets, by names that have the net's number where there are several nets."""
        began = time.monotonic()
        means: Dict[str, List[float]] = {}
        for net in self._nets:
            means.update(net.run(iteration))
        self.seconds += time.monotonic() - began
        return means


class Validation:
    """Repeated validation of a TEST net; each one continues in the source where the last one stopped."""

    def __init__(  # noqa: PLR0917
        self,
        job: TrainingJob,
        number: int,
        scorer: Scorer,
        source: RecordSource,
        ranks: Ranks,
        alive: Optional[Callable[[], None]] = None,
    ) -> None:
        self._job, self._number, self._net = job, number, job.tests[number]
        self._scorer, self._ranks = scorer, ranks
        self._total_loss = TOTAL + "_" * (TOTAL in scorer.outputs) if job.test_compute_loss else ""
        self._total, self._feed = len(source), Feed(self._net.data, source)
        self._alive, self._told = alive, -math.inf

    def run(self, iteration: int) -> Dict[str, List[float]]:
        """Return the means of the net's outputs over test_iter batches, the same on every rank.

        The batches depend on the iteration alone, so a resumed run validates on the same ones.
        """
        job, layer, test_iter = self._job, self._net.data, self._net.test_iter
        batch, names = layer.batch, self._scorer.outputs
        share = (self._ranks.rank, self._ranks.size)
        round_ = iteration // job.test_interval - 1
        batches = validation_batches(round_, self._total, batch, test_iter=test_iter, share=share)
        self._feed.ask(batches)
        sums = {name: np.zeros(self._scorer.length(name)) for name in names}
        if self._total_loss:
            sums[self._total_loss] = np.zeros(1)
        for _ in batches:
            self._tell()
            _, values = self._scorer.run(self._feed, names)
            for name in names:
                sums[name] += values[name].mean(axis=0, dtype=np.float64)
            if self._total_loss:
                sums[self._total_loss] += self._scorer.loss()
        # The mean over ranks times their number is the sum over ranks.
        total = self._ranks.allreduce_mean(np.concatenate(list(sums.values()))) * self._ranks.size
        means, place = {}, 0
        for name, own in sums.items():
            mine = total[place : place + own.size]
            means[job.numbered(name, self._number)] = [float(value) / test_iter for value in mine]
            place += own.size
        return means

    def _tell(self) -> None:
        """Give a sign of life, about once a second."""
        now = time.monotonic()
        if self._alive is not None and now - self._told >= ALIVE_S:
            self._told = now
            self._alive()

    def close(self) -> None:
        """End the thread that reads."""
        self._feed.close()

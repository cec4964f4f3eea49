"""Beginning of a rank: its weights, and its place in the records."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

from jobs.trainer import contract
from jobs.trainer.caffe.native import Trainer
from jobs.trainer.files import storage
from jobs.trainer.files.distribution import locate
from jobs.trainer.files.store import Store
from jobs.trainer.ranks.group import Exchange, require_same
from jobs.trainer.ranks.plan import Plan
from jobs.trainer.ranks.resume import FeedState, sum_of
from jobs.trainer.sources.base import RecordSource


class Beginning:
    """Beginning of a rank on `host` by its plan; files that it fetches itself lie in `folder`."""

    def __init__(
        self, plan: Plan, host: str, store: Store, folder: Path, tell: Callable[[contract.Event], None]
    ) -> None:
        self._plan, self._host, self._store, self._folder, self._tell = plan, host, store, folder, tell

    def load(self, trainer: Trainer) -> int:
        """Give the solver what the plan begins with; return its iteration.

        Raises:
            TrainerError: a file cannot be read, or does not fit.
        """
        plan = self._plan
        if plan.snapshot:
            weights = [self._local(name) for name in plan.weights]
            self._state = self._local(plan.snapshot)
            trainer.restore(self._state, plan.snapshot_name, weights)
        elif plan.weights:
            trainer.load_weights([locate(name) for name in plan.weights])
        return trainer.iteration

    def place(self, source: RecordSource, first: int, exchange: Exchange) -> FeedState:
        """Require that all ranks have the same copy of the source; return where they begin to read.

        Raises:
            TrainerError: the copies differ, or the state of the feed is not the snapshot's.
        """
        plan, seed = self._plan, self._plan.job.seed
        mine = "{} records, {}..{}".format(len(source), *source.ends())
        found = exchange.json([self._host, mine, int.from_bytes(os.urandom(4), "little")])
        require_same("source-differs", [(host, text) for host, text, _ in found], uri=plan.job.train.uri)
        if plan.feed:
            file = self._local(plan.feed)
            read = FeedState.load(file.read_text(errors="replace"), file.name, sum_of(self._state))
            if seed not in (-1, read.seed):
                words = "the random numbers go on from the snapshot's seed {}, not from random_seed: {}"
                self._tell(contract.Note(words.format(read.seed, seed)))
            return read
        return FeedState(first * plan.per_iteration, seed if seed >= 0 else found[0][2], "")

    def _local(self, name: str) -> Path:
        """Return the local path of a file of the snapshot."""
        if "://" not in name or storage.local_path(name):
            return locate(name)
        folder = self._folder / "snapshot"
        folder.mkdir(exist_ok=True)
        path = folder / name.rpartition("/")[2]
        # No upload has begun, whose thread would use the same JVM.
        self._store.get(name, path)
        return path

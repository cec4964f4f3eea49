"""Snapshots of rank 0: those that the solver asks for, which stay, and those that the clock asks for.

Of the clock's, the two newest are kept until training is over, which the driver knows: what follows the last
iteration may fail too.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, List, Sequence, Tuple

from jobs.trainer import contract
from jobs.trainer.caffe.native import Trainer
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.files import storage
from jobs.trainer.ranks.resume import FeedState, beside, sum_of
from jobs.trainer.ranks.uploads import Uploads

KINDS = (".caffemodel", ".solverstate")
Whole = Tuple[str, ...]
"""URIs of a snapshot's files."""


def whole(event: contract.Snapshot) -> Whole:
    """Return the URIs of a snapshot's files."""
    return event.weights, beside(event.state), event.state


class Snapshots:
    """Snapshots beside `model`, `every` seconds (0: never) and when the solver asks.

    `timed` are those that the clock has asked for in earlier attempts at this training.
    """

    def __init__(
        self,
        job: TrainingJob,
        trainer: Trainer,
        uploads: Uploads,
        folder: Path,
        model: str,
        *,
        every: float = 0.0,
        timed: Sequence[Whole] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job, self._trainer, self._uploads, self._folder = job, trainer, uploads, folder
        self._model, self._every, self._clock = model, every, clock
        self._timed: List[Whole] = list(timed)
        self._last = clock()

    def regular(self, done: int) -> bool:
        """Return whether the solver asks for a snapshot after that many iterations."""
        job = self._job
        regular = job.snapshot > 0 and done % job.snapshot == 0
        return regular or (job.snapshot_after_train and done == job.max_iter)

    def timely(self) -> bool:
        """Return whether the clock asks for one. Storage that is slow gets no more than it takes."""
        return self._every > 0 and self._clock() - self._last >= self._every and not self._uploads.busy

    def take(self, iteration: int, position: int, seed: int) -> None:
        """Write a snapshot to this machine, and have it uploaded; `position` is the feed's.

        Training waits for the copy to this machine alone.
        """
        folder, regular = storage.parent(self._model), self.regular(iteration)
        name = "{}/{}_iter_{}{{}}{}".format(folder, self._job.snapshot_prefix, iteration, self._job.suffix)
        weights, state = (name.format(kind) for kind in KINDS)
        feed = self._folder / beside(state).rpartition("/")[2]
        written, solver = self._trainer.snapshot()

        def prepare() -> None:
            feed.write_text(FeedState(position, seed, sum_of(solver)).dump())

        # The state last: a snapshot without the feed's would be resumed at another record.
        files = [(written, weights), (feed, beside(state)), (solver, state)]
        event = contract.Snapshot(iteration, self._job.max_iter, weights, state, timed=not regular)
        older = [one for one in self._timed if one != whole(event)]
        # Beside one of the clock's, the one before it stays.
        obsolete = [uri for one in older[: None if regular else -1] for uri in one]
        self._uploads.snapshot(iteration, files, event, prepare, obsolete)
        self._timed = [] if regular else [*older[-1:], whole(event)]
        self._last = self._clock()

    @property
    def obsolete(self) -> List[str]:
        """URIs of the clock's, which nobody needs once training is over."""
        return [*self._uploads.obsolete, *(uri for one in self._timed for uri in one)]

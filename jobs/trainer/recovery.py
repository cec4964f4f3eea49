"""Recovery of training: the executors to go on with, and the snapshot to go on from.

Each attempt at training is a barrier stage of its own, in the same application. One ends with the model, with
a failure, or because its ranks have left it after a snapshot: for a notice, for executors that have come, or
as the driver asked.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Callable, NamedTuple, Optional, Sequence, Tuple

from jobs.trainer import contract, stopping
from jobs.trainer.caffe import native
from jobs.trainer.caffe.elastic import Resized, resized
from jobs.trainer.contract import FAIL
from jobs.trainer.errors import TrainerError
from jobs.trainer.events import blame
from jobs.trainer.events.channel import Channel
from jobs.trainer.policy import Policy
from jobs.trainer.ranks.snapshots import Whole, whole
from jobs.trainer.restart import Record
from jobs.trainer.running import RunningJob
from jobs.trainer.survivors import Survivors

MOST_FRUITLESS = 3
"""Losses in a row without a further iteration or a newer snapshot, after which the job fails."""


class Attempt(NamedTuple):
    """An attempt at training: how many executors, with which job, from where."""

    generation: int
    executors: int
    resized: Resized
    snapshot: str
    """URI of the solver's state; empty for a start without one."""
    weights: Tuple[str, ...]
    own: bool = False
    """The snapshot is one of this job, which ranks fetch themselves."""
    timed: Tuple[Whole, ...] = ()
    """Snapshots that the clock has asked for, which newer ones replace."""


class Recovery:
    """Attempts at one training, by a policy; `attempt` is the current one."""

    def __init__(
        self, running: RunningJob, rules: Policy, weights: Tuple[str, ...], channel: Channel
    ) -> None:
        self._running, self._rules, self._channel = running, rules, channel
        self._given = running.job, running.options.snapshot, weights
        first = Resized(running.job, "")
        self.attempt = Attempt(1, running.size, first, running.options.snapshot, weights)
        self.survivors = Survivors(running, rules)
        self._reached, self._stored, self._fruitless = -1, -1, 0
        self.origin = -1
        """Iteration that training began at; -1 before the first attempt that has begun is over."""
        self.images, self.seconds = 0, 0.0
        """Of iterations of earlier attempts that count."""
        self.lost_seconds = 0.0
        """Of those that were done again."""

    def begin_again(self, earlier: Record, asked: Callable[[], str] = str) -> None:
        """Prepare the first attempt of a driver that follows a lost one, by what that has left.

        Raises:
            TrainerError: there are not enough executors in time, or training is to end.
        """
        journal = self._running.journal
        journal.restore(earlier.snapshots, earlier.validations, earlier.reached)
        self.origin, self.lost_seconds = earlier.origin, earlier.lost_seconds
        start, begun = self._start(), max(0, earlier.origin)
        # Figures are those up to the newest snapshot; an older one that is whole has a part of them.
        newest = earlier.newest.iteration if earlier.newest else begun
        journal.first = start.iteration if start else begun
        share = (journal.first - begun) / (newest - begun) if newest > begun else 0.0
        self.images, self.seconds = round(earlier.images * share), earlier.seconds * share
        self.attempt = self.attempt._replace(generation=earlier.generation)
        journal.add(contract.WorkersLost(earlier.reached, reason="it is started again", driver=True))
        self._regroup(None, asked)

    def record(self, owners: Sequence[str]) -> Record:
        """Return what a driver needs that would follow this one now."""
        journal = self._running.journal
        newest = journal.snapshot
        images, seconds = self.images, self.seconds
        if newest is not None and newest.iteration > journal.first:
            images, seconds, _ = self._accounted(newest.iteration)
        origin = journal.first if self.origin < 0 and journal.begun else self.origin
        return Record(
            self.attempt.generation,
            tuple(owners),
            origin,
            journal.iteration,
            images,
            seconds,
            tuple(journal.snapshots),
            tuple(journal.validations),
            lost_seconds=self.lost_seconds,
        )

    def stopped(self, iteration: int, reason: str) -> TrainerError:
        """Return the end of training that was asked for, with the snapshot to go on from."""
        return stopping.stopped(iteration, reason, self._running.journal.snapshot)

    def after_loss(self, failure: TrainerError, asked: Callable[[], str] = str) -> None:
        """Prepare the next attempt after a failure of this one; `asked` tells why there is to be none.

        Raises:
            TrainerError: `failure`, if another attempt would not help or the policy does not want one; or
                there are not enough executors in time.
        """
        journal = self._running.journal
        if self._rules.action == FAIL or not blame.is_loss(failure, journal):
            raise failure
        stored = journal.snapshot.iteration if journal.snapshot else -1
        # A newer snapshot is progress too, though an earlier attempt had gone further.
        further = journal.iteration > self._reached or stored > self._stored
        self._fruitless = 0 if further else self._fruitless + 1
        self._reached, self._stored = max(self._reached, journal.iteration), max(stored, self._stored)
        if self._fruitless >= MOST_FRUITLESS:
            raise failure
        journal.add(blame.workers_lost(failure, journal, journal.iteration))
        self._regroup(failure, asked)

    def after_leaving(self, iteration: int, seconds: float, asked: Callable[[], str] = str) -> None:
        """Prepare the next attempt after ranks have left this one at an iteration; see `after_loss`.

        `seconds` are those of its iterations, without validation.

        Raises:
            TrainerError: the policy does not want another attempt, or there are not enough executors in time.
        """
        journal = self._running.journal
        # Exactly, where events tell it up to the last report.
        journal.steps, journal.seconds = iteration - journal.first, seconds
        leaving = {event.host for event in journal.interruptions}
        if leaving:
            why = "; ".join(sorted({event.why for event in journal.interruptions}))
            if self._rules.action == FAIL:
                reason = "notice on {}: {}".format(", ".join(sorted(leaving)), why)
                raise self.stopped(iteration, reason)
            journal.add(contract.WorkersLost(iteration, sorted(leaving), reason=why))
        self._regroup(None, asked)

    def _regroup(self, failure: Optional[TrainerError], asked: Callable[[], str]) -> None:
        """Leave noticed nodes, wait for executors, and set the attempt with those that are there."""
        running, began = self._running, time.monotonic()
        for event in running.journal.interruptions:
            # Spark names a node by its address or by a name, and one executor otherwise than its tasks.
            places = {rank.address for rank in running.journal.ranks.values() if rank.host == event.host}
            self.survivors.leave({event.host, *places}, event.at)
        usable, journal = self.survivors.wait(failure, partial(self._go_on, asked)), running.journal
        # After the wait: an upload of the attempt that has ended may have become complete meanwhile. What a
        # rank tells that is hidden from the driver concerns no later attempt.
        self._channel.renew()
        start, reached = self._start(), journal.iteration
        job, snapshot, weights = self._given
        if self.origin < 0 and journal.begun:
            self.origin = journal.first
        # That of a snapshot that was given is not known until a rank has read it.
        at = start.iteration if start else max(0, self.origin)
        self.images, self.seconds, self.lost_seconds = self._accounted(at)
        size = min(len(usable), running.size)
        full = running.ranks
        self.attempt = Attempt(
            self.attempt.generation + 1,
            size,
            resized(job, full, size * running.options.devices, native.protos()),
            start.state if start else snapshot,
            (start.weights,) if start else weights,
            start is not None,
            tuple(whole(event) for event in journal.timed),
        )
        hosts = running.executors.active()
        journal.anew(at)
        journal.add(running.executors.described())
        journal.add(
            contract.Recovery(
                self.attempt.generation,
                at,
                size,
                running.size,
                max(0, reached - at),
                time.monotonic() - began,
                self.attempt.resized.rule,
                sorted({hosts[number] for number in usable[:size] if number in hosts}),
            )
        )

    def _go_on(self, asked: Callable[[], str]) -> None:
        """Require that training is to go on: whoever asks it to end may have taken the workers.

        Raises:
            TrainerError: it was asked to end.
        """
        reason = asked()
        if reason:
            raise self.stopped(self._running.journal.iteration, reason)

    def _start(self) -> Optional[contract.Snapshot]:
        """Return the newest snapshot that is whole, from now on the journal's newest too.

        A rank that was hidden from the driver may have replaced the clock's by newer ones.
        """
        journal, files = self._running.journal, self._running.files
        try:
            found = (one for one in reversed(journal.snapshots) if all(map(files.exists, whole(one))))
            journal.snapshot = next(found, None)
        except TrainerError as error:
            print("not looked for: {}".format(error), flush=True)
        return journal.snapshot

    def _accounted(self, at: int) -> Tuple[int, float, float]:
        """Return images, seconds and lost seconds with what the current attempt adds, if another one goes on
        from an iteration of it.

        Which of its seconds were of iterations that count is by its mean pace.
        """
        running, job, journal = self._running, self.attempt.resized.job, self._running.journal
        ranks = self.attempt.executors * running.options.devices
        kept = max(0, at - journal.first)
        images = kept * ranks * job.train.batch * job.iter_size
        trained = journal.seconds * kept / journal.steps if journal.steps > 0 else 0.0
        lost = max(0.0, journal.seconds - trained)
        return self.images + images, self.seconds + trained, self.lost_seconds + lost

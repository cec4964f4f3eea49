"""Training stage: a barrier task per executor, or per GPU, which runs `run_rank`.

Record i of the TRAIN source, over and over, goes to rank i mod N. Gradients are averaged over all ranks
before each update, so every rank holds the same weights; rank 0 writes them.

Departures from CaffeOnSpark: no record is left out; a validation's batches are shared among the ranks
instead of run by each; models and snapshots include the global gradient; a run that is resumed goes on with
the same records and random numbers.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections import deque
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Deque, Dict, List, Optional

import numpy as np

from jobs.trainer import contract
from jobs.trainer.caffe import device
from jobs.trainer.caffe.datalayer import DataLayer
from jobs.trainer.caffe.feed import Feed, step_seed
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.events.channel import Sender
from jobs.trainer.files.distribution import locate
from jobs.trainer.files.store import Store
from jobs.trainer.ranks import nccl, notice
from jobs.trainer.ranks.agreement import Agreement
from jobs.trainer.ranks.beginning import Beginning
from jobs.trainer.ranks.group import Exchange, PeerLost, Peers, Ranks, Solo, digest, require_same, together
from jobs.trainer.ranks.pace import Pace
from jobs.trainer.ranks.plan import Plan, RankHost
from jobs.trainer.ranks.snapshots import Snapshots
from jobs.trainer.ranks.uploads import Uploads
from jobs.trainer.ranks.validate import Validation, Validations
from jobs.trainer.ranks.wishes import Wishes
from jobs.trainer.sources.base import RecordSource
from jobs.trainer.sources.registry import open_source
from jobs.trainer.sources.shards import training_batches


def run_rank(plan: Plan) -> List[Dict[str, Any]]:
    """Run the body of a barrier task; return one record with this rank's figures."""
    import socket

    from pyspark import BarrierTaskContext

    from jobs.trainer.events.watch import failure, watched

    context = BarrierTaskContext.get()
    rank, host = context.partitionId(), socket.gethostname()
    address = context.getTaskInfos()[rank].address.rpartition(":")[0] or host
    sender = Sender(plan.channel)
    sender.send(contract.RankStarted(rank, host, address))
    try:
        with watched(plan.channel, rank, host), tempfile.TemporaryDirectory(prefix="caffe-spark-") as folder:
            if plan.job.gpu:
                device.use_gpu(device.of_task())
            exchange = Exchange(rank, plan.size, context.allGather)
            return [_Rank(plan, RankHost(rank, host, address), exchange, sender, Path(folder)).run()]
    except BaseException as error:
        origin = contract.PEER if isinstance(error, PeerLost) else contract.OWN
        sender.send(failure(rank, host, origin, error))
        raise
    finally:
        sender.close()


class _Rank:
    """A rank's run from start to end."""

    def __init__(self, plan: Plan, place: RankHost, exchange: Exchange, sender: Sender, folder: Path) -> None:
        from jobs.trainer.caffe import native

        self.plan, self.job, self.rank, self.host = plan, plan.job, place.rank, place.host
        self.exchange, self.sender, self.folder = exchange, sender, folder
        self.trainer = native.Trainer(self.job, place.rank, folder)
        self.datum = native.protos().Datum
        self.address = place.address
        self.sources: Dict[str, RecordSource] = {}
        """By names of the plan: a process cannot open an LMDB twice."""
        store = Store(plan.fence)
        self.uploads = Uploads(self.tell, resumable=bool(plan.snapshot), store=store)
        self.beginning = Beginning(plan, place.host, store, folder, self.tell)
        self.snapshots = Snapshots(
            self.job,
            self.trainer,
            self.uploads,
            folder,
            plan.model,
            every=plan.snapshot_every,
            timed=plan.timed,
        )
        self.left: Optional[int] = None
        """Iteration after which all ranks have left the stage."""

    def run(self) -> Dict[str, Any]:
        """Train to max_iter; return this rank's figures."""
        try:
            return self._run()
        finally:
            self.uploads.close()
            # They refer to each other: memory of nets would stay until Python looks for such cycles.
            del self.uploads, self.snapshots
            for source in self.sources.values():
                source.close()

    def _run(self) -> Dict[str, Any]:
        job, trainer = self.job, self.trainer
        source = self._open(job.train, self.plan.train)
        self._at(contract.LOADING)
        first = self.beginning.load(trainer)
        if first > job.max_iter or (first == job.max_iter and not self.plan.goes_on):
            raise Refused("snapshot-past-max-iter", iteration=first, max_iter=job.max_iter)
        with ExitStack() as ending:
            self._at(contract.CONNECTING)
            ranks = ending.enter_context(closing(self._join()))
            self._at(contract.BEGINNING)
            self.began = self.beginning.place(source, first, self.exchange)
            feed = ending.enter_context(closing(Feed(job.train, source, self.began.seed)))
            feed.ask(training_batches(self.began.position, job.train.batch, self.plan.size, self.rank))
            trainer.start(feed)
            validations = ending.enter_context(closing(self._validations(ranks)))
            began = time.monotonic()
            validating = self._loop(ranks, first, validations)
            seconds = time.monotonic() - began - validating
            if self.left is not None:
                # Whether it is stored or not, the driver knows by its event.
                self._at(contract.STORING)
                self.uploads.settle()
                return {"rank": self.rank, "host": self.host, "left": self.left, "seconds": seconds}
            self._at(contract.STORING)
            if self.rank == 0:
                # Before anything judges it: hours of training are not lost to a comparison that fails.
                self.uploads.model(job.max_iter, trainer.save(), self.plan.model)
            try:
                same = digest(trainer.weights())
                if self.plan.communicate:
                    found = self.exchange.json([self.host, same])
                    require_same("weights-differ", found)
            finally:
                self.uploads.finish()
            waited = ranks.waited_s
        return {
            "rank": self.rank,
            "host": self.host,
            "sha256": same,
            "first": first,
            "seconds": seconds,
            "images": (job.max_iter - first) * job.train.batch * job.iter_size,
            "validation_seconds": validating,
            "waited_seconds": waited,
            "obsolete": self.snapshots.obsolete,
        }

    def _open(self, layer: DataLayer, name: str) -> RecordSource:
        if name not in self.sources:
            self.sources[name] = open_source(layer.source_class, locate(name), self.datum)
        return self.sources[name]

    def _validations(self, ranks: Ranks) -> Validations:
        return Validations(
            Validation(
                self.job,
                number,
                self.trainer.validator(number),
                self._open(test.data, name),
                ranks,
                # Others would notice that a rank does not answer; of one alone, only the driver.
                (lambda: self._at(contract.VALIDATING)) if self.plan.size == 1 else None,
            )
            for number, (test, name) in enumerate(zip(self.job.tests, self.plan.tests))
            if name
        )

    def _at(self, step: str) -> None:
        """Tell the driver which step this rank is in."""
        self.sender.send(contract.RankStep(self.rank, step))

    def _join(self) -> Ranks:
        if self.plan.size == 1 or not self.plan.communicate:
            return Solo()
        peers = Peers(self.address, self.exchange, self.plan.token, self.plan.timeout_s)
        self.exchange.through(peers.all_gather)
        peers.broadcast_weights(self.trainer.solver)
        if self.plan.by_nccl:
            self.nccl = nccl.attach(self.trainer.solver, self.exchange, self.plan.connection)
        else:
            peers.attach(self.trainer.solver, self.plan.gradients)
        return peers

    def _loop(self, ranks: Ranks, first: int, validations: Validations) -> float:
        """Run all iterations; return the seconds of validation."""
        job, trainer = self.job, self.trainer
        recent: Deque[float] = deque(maxlen=job.average_loss)
        pace = Pace(first, job.max_iter, self.plan.per_iteration, lambda: validations.seconds)
        agreement = Agreement(first, ranks.allreduce_mean, self._wishes())
        for iteration in range(first, job.max_iter):
            if job.validates(iteration):
                trainer.average_statistics(ranks.allreduce_mean)
                self._validate(iteration, validations)
            seed = step_seed(self.began.seed, self.rank, iteration)
            recent.append(together(lambda: trainer.step(seed)))  # noqa: B023 - called at once
            loss = sum(recent) / len(recent)
            if job.display and iteration % job.display == 0:
                loss = float(ranks.allreduce_mean(np.asarray([loss]))[0])
                rate = job.rate.at(iteration)
                self.tell(contract.Display(iteration, job.max_iter, loss, *pace.at(iteration), lr=rate))
                _require_number(loss, iteration)
            elif pace.due():
                self.tell(contract.Progress(iteration, job.max_iter, loss, *pace.at(iteration)))
            done = iteration + 1
            wish = agreement.after(done)
            # After the last iteration, the model is all that there is to store.
            leave = wish.leave and done < job.max_iter
            if self.snapshots.regular(done) or leave or (wish.snapshot and done < job.max_iter):
                _require_number(loss, iteration)
                trainer.average_statistics(ranks.allreduce_mean)
                if self.rank == 0:
                    position = self.began.position + (done - first) * self.plan.per_iteration
                    self.snapshots.take(done, position, self.began.seed)
            self.uploads.check()
            if leave:
                self.left = done
                return validations.seconds
        if recent:
            _require_number(loss, job.max_iter)
        trainer.average_statistics(ranks.allreduce_mean)
        if job.validates(job.max_iter):
            self._validate(job.max_iter, validations)
        if recent:  # else an earlier attempt has done the last iteration
            self.tell(contract.Progress(job.max_iter, job.max_iter, loss, *pace.at(job.max_iter)))
        return validations.seconds

    def _wishes(self) -> Wishes:
        plan, alone = self.plan, not self.plan.communicate
        return Wishes(
            self.rank,
            self.host,
            self.sender.send,
            (lambda: []) if alone else self.sender.heard,
            self.snapshots.timely,
            clocked=plan.snapshot_every > 0,
            # Ranks that train alone cannot agree to leave.
            noticed=(lambda: None) if alone else notice.read,
        )

    def _validate(self, iteration: int, validations: Validations) -> None:
        self.tell(contract.Validation(iteration, self.job.max_iter, validations.run(iteration)))

    def tell(self, event: contract.Event) -> None:
        if self.rank == 0:
            self.sender.send(event)


def _require_number(loss: float, iteration: int) -> None:
    """Stop a run that has diverged, before its weights replace a good snapshot or become the model.

    Raises:
        TrainerError: the loss is infinite or no number.
    """
    if not math.isfinite(loss):
        raise TrainerError("training-diverged", iteration=iteration, loss=str(loss))

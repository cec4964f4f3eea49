"""Training of a job that is prepared: a barrier stage with a rank in each task, the model and its rounds."""

from __future__ import annotations

import secrets
import time
from functools import partial
from typing import Any, Dict, List, Sequence

from jobs.trainer import checks, contract, rounds
from jobs.trainer.caffe import native
from jobs.trainer.contract import TRANSPORT_CONF
from jobs.trainer.errors import TrainerError, reason_of
from jobs.trainer.events.channel import Address, Channel
from jobs.trainer.files import storage
from jobs.trainer.files.fence import SUFFIX, Fence
from jobs.trainer.overseer import Overseer
from jobs.trainer.policy import Policy, policy
from jobs.trainer.ranks.plan import Plan
from jobs.trainer.ranks.proof import new_token
from jobs.trainer.ranks.resume import beside
from jobs.trainer.ranks.train import run_rank
from jobs.trainer.ranks.uploads import PAUSES
from jobs.trainer.recovery import Attempt, Recovery
from jobs.trainer.restart import Record, Records
from jobs.trainer.running import LATE_REPORTS_S, RunningJob

TOO_FEW_SLOTS = "[SPARK-24819]"
"""Beginning of Spark's refusal of a barrier stage with more ranks than its executors have room for."""


def train(running: RunningJob, channel: Channel) -> None:
    """Train, and write the model and the rounds of validation.

    Raises:
        TrainerError: training failed, or it was stopped.
    """
    running.files.make_folder(storage.parent(running.model))
    first = _train(running, channel)
    channel.drain(LATE_REPORTS_S)
    # Scoring has failures of its own.
    channel.renew()
    _write_rounds(running, first)


def _train(running: RunningJob, channel: Channel) -> int:
    """Train in as many attempts as the policy allows; return the iteration that training began at."""
    rules, earlier = policy(running.conf, running.size), running.earlier
    recovery = Recovery(running, rules, checks.weights(running.options, running.job), channel)
    # Of its own: ranks of a driver that was lost may live on.
    owner = secrets.token_hex(4)
    owners = (*(earlier.owners if earlier else ()), owner)

    records = running.records
    keep = partial(_keep, records, recovery, owners) if records else None
    overseer = Overseer(running, rules, channel, keep)
    running.journal.phase("train")
    if earlier and earlier.trained:
        return _trained_before(running, earlier, earlier.trained)
    if earlier and earlier.generation:
        recovery.begin_again(earlier, overseer.ask)
    while True:
        attempt = recovery.attempt
        fence = Fence(running.model + SUFFIX, attempt.generation, owner)
        plan = _plan(running, channel.address, attempt, rules, fence)
        try:
            with overseer.watching(attempt, recovery.survivors):
                ranks = _stage(running, plan)
        except TrainerError as failure:
            recovery.after_loss(failure, overseer.ask)
            continue
        left = ranks[0].get("left")
        if left is None:
            break
        # Their snapshot is complete by its event, which may come after the figures.
        channel.drain(LATE_REPORTS_S)
        if overseer.stop:
            raise recovery.stopped(left, overseer.stop)
        recovery.after_leaving(left, max(rank["seconds"] for rank in ranks), overseer.ask)
    origin = int(recovery.origin if recovery.origin >= 0 else ranks[0]["first"])
    trained, obsolete = _figures(running, recovery, plan, ranks, origin), ranks[0].get("obsolete", ())
    if records:
        found = recovery.record(owners)
        records.keep(found._replace(origin=origin, trained=trained, obsolete=tuple(obsolete)))
    _tidy(running, owners, obsolete)
    running.journal.add(trained)
    return origin


def _keep(records: Records, recovery: Recovery, owners: Sequence[str]) -> None:
    records.keep(recovery.record(owners))


def _trained_before(running: RunningJob, earlier: Record, trained: contract.Trained) -> int:
    """End the training that an earlier driver has done; return the iteration that it began at."""
    running.journal.restore(earlier.snapshots, earlier.validations, running.job.max_iter)
    _tidy(running, earlier.owners, earlier.obsolete)
    running.journal.add(trained)
    return earlier.origin


def _tidy(running: RunningJob, owners: Sequence[str], obsolete: Sequence[str]) -> None:
    """Remove what served training alone: the fence, the clock's snapshots, and files of lost ranks."""
    files = running.files
    try:
        parts = [
            name
            for name, _, _ in files.stamp(storage.parent(running.model))
            if name.endswith(tuple("-{}{}".format(owner, storage.PART) for owner in owners))
        ]
        for uri in (running.model + SUFFIX, *obsolete, *parts):
            files.remove(uri)
    except TrainerError as error:
        # They are in nobody's way.
        print("not removed: {}".format(error), flush=True)


def _plan(running: RunningJob, channel: Address, attempt: Attempt, rules: Policy, fence: Fence) -> Plan:
    """Return the input of the ranks of an attempt, which alone may write from now on."""
    options, conf, job = running.options, running.conf, attempt.resized.job
    _mark(running, fence)
    feed = _feed_state(running, attempt.snapshot)
    by_nccl = job.gpu and native.has_nccl()

    def given(uri: str) -> str:
        return uri if attempt.own else running.nodes.add(uri)

    plan = Plan(
        job=job,
        size=attempt.executors * options.devices,
        channel=channel,
        train=running.data.name(job.train),
        tests=tuple(running.data.name(test.data) if test.test_iter else "" for test in job.tests),
        weights=tuple(map(given, attempt.weights)),
        snapshot=given(attempt.snapshot) if attempt.snapshot else "",
        feed=given(feed) if feed else "",
        snapshot_name=attempt.snapshot.rpartition("/")[2],
        model=running.model,
        timeout_s=rules.timeout_s,
        token=new_token(),
        communicate=conf.get(TRANSPORT_CONF, "ethernet") != "none",
        gradients=checks.gradients(conf, nccl=by_nccl),
        by_nccl=by_nccl,
        connection=options.connection,
        fence=fence,
        snapshot_every=rules.snapshot_every,
        timed=attempt.timed,
        goes_on=attempt.own,
    )
    ranks_averaged = plan.size if plan.communicate else 1
    if job.gpu:
        how = "are averaged by " + ("NCCL" if plan.by_nccl else "the CPU: Caffe was built without NCCL")
        how = how if plan.communicate else "are not averaged: with transport none, ranks train alone"
        words = "solver_mode GPU: {} ranks, each on a GPU of its own; gradients {}"
        running.journal.add(contract.Note(words.format(plan.size, how)))
    running.journal.add(contract.Training(ranks_averaged, job.average_loss, job.iter_size, attempt.snapshot))
    return plan


def _mark(running: RunningJob, fence: Fence) -> None:
    """Let this attempt alone write from now on; wait where there is no room, if an earlier one has trained.

    Raises:
        TrainerError: the mark cannot be written.
    """
    journal = running.journal
    for number, pause in enumerate([*PAUSES, None], start=1):
        try:
            running.files.write(fence.uri, fence.text)
            return
        except TrainerError as error:
            if fence.generation == 1:
                raise
            reason = reason_of(error)
            if pause is None:
                resume = journal.snapshot.resume() if journal.snapshot else {}
                fields = {"generation": fence.generation, "uri": fence.uri, "reason": reason}
                raise TrainerError("attempt-not-marked", **fields, **resume) from error
            journal.add(contract.UploadFailed(journal.iteration, fence.uri, reason, number, pause))
            time.sleep(pause)


def _stage(running: RunningJob, plan: Plan) -> List[Dict[str, Any]]:
    """Run a rank in each task of a barrier stage; return their figures.

    Raises:
        TrainerError: a rank or an executor failed, or Spark launches none.
    """
    stage = running.context.parallelize(range(plan.size), plan.size).barrier()
    try:
        # Ranks return figures only: a later stage may run on other nodes.
        with running.executors.launching(lambda: bool(running.journal.ranks)):
            found = list(stage.mapPartitions(partial(_run_rank, plan)).collect())
    except Exception as error:
        # Executors that were there may be lost before Spark launches the stage.
        if running.executors.given_up or TOO_FEW_SLOTS in str(error):
            raise running.executors.missing(plan.size // running.options.devices) from error
        raise running.failure(error) from error
    # One that was given up has answered after all, and nothing later is its fault.
    running.journal.silence.hung = None
    return found


def _figures(
    running: RunningJob, recovery: Recovery, plan: Plan, ranks: List[Dict[str, Any]], origin: int
) -> contract.Trained:
    """Return the figures of training, of all attempts together."""
    seconds = max(rank["seconds"] for rank in ranks) + recovery.seconds
    images = sum(rank["images"] for rank in ranks) + recovery.images
    kept = ("rank", "host", "seconds", "waited_seconds")
    return contract.Trained(
        iterations=plan.job.max_iter - origin,
        images=images,
        seconds=seconds,
        images_per_s=images / seconds,
        lost_seconds=recovery.lost_seconds,
        sha256=ranks[0]["sha256"],
        hosts=[rank["host"] for rank in ranks],
        model=running.model,
        ranks=[{name: rank[name] for name in kept} for rank in ranks],
    )


def _write_rounds(running: RunningJob, first: int) -> None:
    """Write the validations from iteration `first` on beside the model, in -outputFormat."""
    found, uri = running.journal.validations, running.model + rounds.SUFFIX
    try:
        rounds.write(running.spark, found, uri, running.options.output_format)
    except Exception as error:
        raise running.failure(error, {"model": running.model}) from error
    for event in rounds.told(running.job, first, found, uri):
        running.journal.add(event)


def _feed_state(running: RunningJob, snapshot: str) -> str:
    """Return the URI of the feed's state that belongs to a snapshot; empty without one."""
    if not snapshot:
        return ""
    uri = beside(snapshot)
    if running.files.exists(uri):
        return uri
    words = "there is no {}: reading begins where the iteration says, with new random numbers"
    running.journal.add(contract.Note(words.format(uri)))
    return ""


def _run_rank(plan: Plan, _: Any) -> List[Dict[str, Any]]:  # noqa: ANN401
    return run_rank(plan)

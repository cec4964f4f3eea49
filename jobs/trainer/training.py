"""Training of a job that is prepared: a barrier stage with a rank in each task, the model and its rounds."""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, List

from jobs.trainer import checks, contract, rounds
from jobs.trainer.caffe import native
from jobs.trainer.contract import TIMEOUT_CONF, TRANSPORT_CONF
from jobs.trainer.events.channel import Address, Channel
from jobs.trainer.files import storage
from jobs.trainer.ranks.proof import new_token
from jobs.trainer.ranks.resume import beside
from jobs.trainer.ranks.train import Plan, run_rank
from jobs.trainer.running import LATE_REPORTS_S, RunningJob


def train(running: RunningJob, channel: Channel) -> None:
    """Train, and write the model and the rounds of validation.

    Raises:
        TrainerError: training failed.
    """
    running.files.make_folder(storage.parent(running.model))
    first = _train(running, channel.address)
    channel.drain(LATE_REPORTS_S)
    _write_rounds(running, first)


def _train(running: RunningJob, channel: Address) -> int:
    """Train; return the iteration that training began at."""
    options, conf = running.options, running.conf
    running.journal.phase("train")
    by_nccl = running.job.gpu and native.has_nccl()
    plan = Plan(
        job=running.job,
        size=running.ranks,
        channel=channel,
        train=running.data.name(running.job.train),
        tests=tuple(running.data.name(test.data) if test.test_iter else "" for test in running.job.tests),
        weights=tuple(running.nodes.add(uri) for uri in checks.weights(options, running.job)),
        snapshot=running.nodes.add(options.snapshot) if options.snapshot else "",
        feed=_feed_state(running),
        snapshot_name=options.snapshot.rpartition("/")[2],
        model=running.model,
        timeout_s=float(conf.get(TIMEOUT_CONF, "120")),
        token=new_token(),
        communicate=conf.get(TRANSPORT_CONF, "ethernet") != "none",
        gradients=checks.gradients(conf, nccl=by_nccl),
        by_nccl=by_nccl,
        connection=options.connection,
    )
    ranks_averaged, job = running.ranks if plan.communicate else 1, running.job
    if job.gpu:
        how = "are averaged by " + ("NCCL" if plan.by_nccl else "the CPU: Caffe was built without NCCL")
        how = how if plan.communicate else "are not averaged: with transport none, ranks train alone"
        words = "solver_mode GPU: {} ranks, each on a GPU of its own; gradients {}"
        running.journal.add(contract.Note(words.format(running.ranks, how)))
    running.journal.add(contract.Training(ranks_averaged, job.average_loss, job.iter_size, options.snapshot))
    stage = running.context.parallelize(range(running.ranks), running.ranks).barrier()
    try:
        # Ranks return figures only: a later stage may run on other nodes.
        with running.executors.launching(lambda: bool(running.journal.ranks)):
            ranks: List[Dict[str, Any]] = stage.mapPartitions(partial(_run_rank, plan)).collect()
    except Exception as error:
        if running.executors.given_up:
            raise running.executors.missing(running.size) from error
        raise running.failure(error) from error
    slowest = max(rank["seconds"] for rank in ranks)
    images = sum(rank["images"] for rank in ranks)
    kept = ("rank", "host", "seconds", "waited_seconds")
    running.journal.add(
        contract.Trained(
            iterations=running.job.max_iter - ranks[0]["first"],
            images=images,
            seconds=slowest,
            images_per_s=images / slowest,
            sha256=ranks[0]["sha256"],
            hosts=[rank["host"] for rank in ranks],
            model=running.model,
            ranks=[{name: rank[name] for name in kept} for rank in ranks],
        )
    )
    return int(ranks[0]["first"])


def _write_rounds(running: RunningJob, first: int) -> None:
    """Write the validations from iteration `first` on beside the model, in -outputFormat."""
    found, uri = running.journal.validations, running.model + rounds.SUFFIX
    try:
        rounds.write(running.spark, found, uri, running.options.output_format)
    except Exception as error:
        raise running.failure(error, {"model": running.model}) from error
    for event in rounds.told(running.job, first, found, uri):
        running.journal.add(event)


def _feed_state(running: RunningJob) -> str:
    """Distribute the feed's state that belongs to the snapshot; return its name, empty without one."""
    if not running.options.snapshot:
        return ""
    uri = beside(running.options.snapshot)
    if running.files.exists(uri):
        return running.nodes.add(uri)
    words = "there is no {}: reading begins where the iteration says, with new random numbers"
    running.journal.add(contract.Note(words.format(uri)))
    return ""


def _run_rank(plan: Plan, _: Any) -> List[Dict[str, Any]]:  # noqa: ANN401
    return run_rank(plan)

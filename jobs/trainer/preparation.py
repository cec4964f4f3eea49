"""Preparation of a job on a Spark context: all checks, and the distribution of its data."""

from __future__ import annotations

from contextlib import closing
from typing import Dict, Tuple

from jobs.trainer import checks, contract, restart
from jobs.trainer.caffe import models, native
from jobs.trainer.caffe.datalayer import TOLD, DataLayer
from jobs.trainer.caffe.feed import record_shape
from jobs.trainer.caffe.probe import Nets, Probe
from jobs.trainer.caffe.prototxt import with_axes, with_labels, with_layers, with_shapes, with_sources
from jobs.trainer.contract import FAIL
from jobs.trainer.errors import Refused
from jobs.trainer.events.blame import executor_lost, workers_lost
from jobs.trainer.files import storage
from jobs.trainer.files.distribution import locate
from jobs.trainer.files.hadoop import on_this_node
from jobs.trainer.policy import policy
from jobs.trainer.running import RunningJob
from jobs.trainer.sources.registry import is_custom, marker, open_source
from jobs.trainer.survivors import Survivors

MOST_AGAIN = 3
"""Times that a source is read again after a loss."""


def prepare(running: RunningJob, probe: Probe) -> Nets:
    """Check everything, and distribute the sources; nothing is written.

    Raises:
        TrainerError: the job cannot run.
    """
    options, journal = running.options, running.journal
    for note in (*options.notes, *checks.overruled(options, running.size)):
        journal.add(contract.Note(note))
    if options.scores and len(running.job.tests) > 1:
        words = "-test and -features score the first of {} TEST nets".format(len(running.job.tests))
        journal.add(contract.Note(words))
    _check_paths(running)
    nets = _checked(running, probe)
    restart.await_executors(running)
    journal.add(running.executors.described())
    journal.phase("data")
    told, counts = _distribute_sources(running)
    last = checks.last_batch(options, running.job, counts)
    # A net that does not take one sample may take several: rows of a Reshape may be of two each.
    if told or (last > 1 and nets.fixed):
        evaluated = checks.evaluated(options, running.job)
        nets = _checked(running, Probe(running.job, running.folder, evaluated, last))
    checks.whole_batches(running.job, nets, last, counts)
    return nets


def _checked(running: RunningJob, probe: Probe) -> Nets:
    """Check the nets that a probe has built."""
    with closing(probe):
        nets = probe.result()
    checks.nets(running.options, running.job, nets)
    running.job = with_axes(with_labels(running.job, *nets.labels), nets.axes)
    return nets


def _check_paths(running: RunningJob) -> None:
    options, files = running.options, running.files
    tests = [_absolute(running, test.data) for test in running.job.tests]
    running.job = with_sources(running.job, _absolute(running, running.job.train), tests)
    running.model = files.absolute(
        checks.model_uri(options.model, running.job) if options.train else options.model
    )
    starts = checks.starts(options, running.job)
    for _, uri in starts if options.train else [("-model", options.model)]:
        if not files.exists(uri):
            raise Refused("input-missing", uri=uri)
    for option, uri in starts:
        models.require_kind(option, uri, files.head(uri, models.HEAD))
    for source in _sources(running).values():
        if is_custom(source.source_class):
            continue
        inside = marker(source.source_class)
        if storage.local_path(source.uri):
            on_this_node(source.uri)
        elif not files.exists("{}/{}".format(source.uri, inside) if inside else source.uri):
            raise Refused(
                "source-missing" if inside else "source-path-missing", uri=source.uri, phase=source.phase
            )
    if options.scores and options.output and files.exists(options.output):
        if running.earlier is None:
            raise Refused("output-exists", uri=files.absolute(options.output))
        # It was not there when the job began: an earlier driver has written it.
        files.remove(options.output)


def _absolute(running: RunningJob, layer: DataLayer) -> str:
    """Return the absolute URI of a source; what one of the user's own takes, only its class knows."""
    return layer.uri if is_custom(layer.source_class) else running.files.absolute(layer.uri)


def _sources(running: RunningJob) -> Dict[str, DataLayer]:
    """Return the sources to read, by phase and number: training needs TEST sources only to validate."""
    options, job = running.options, running.job
    found = {"TRAIN": job.train} if options.train else {}
    for number in checks.evaluated(options, job):
        found[job.numbered("TEST", number)] = job.tests[number].data
    return found


def _distribute_sources(running: RunningJob) -> Tuple[bool, Dict[str, int]]:
    """Distribute the sources to all nodes, those that are no LMDB as one, and check the driver's copy.

    Return whether first records have told shapes of inputs, which the job has then, and the numbers of
    records by phase and number.
    """
    counts: Dict[str, int] = {}
    told = {}
    for name, source in _sources(running).items():
        path = locate(_added(running, name, source))
        with closing(open_source(source.source_class, path, running.datum)) as database:
            shape = database.shape()
            if source.shape == TOLD:
                told[name] = shape = shape or record_shape(source, database)
            checks.records(source, shape)
            counts[name] = len(database)
    if running.options.train:
        names = [running.job.numbered("TEST", number) for number in range(len(running.job.tests))]
        tests = [counts.get(name, 0) for name in names]
        checks.enough(running.job, running.ranks, counts["TRAIN"], tests)
    running.job = with_layers(running.job, running.data.decoded)
    running.journal.add(contract.Data(counts))
    if told:
        running.job = with_shapes(running.job, told, native.protos())
    return bool(told), counts


def _added(running: RunningJob, name: str, source: DataLayer) -> str:
    """Add a source to the job's data, again where an executor is lost; return its name for `locate`."""
    left = MOST_AGAIN
    while True:
        try:
            with running.executors.launching(running.data.heard):
                return running.data.add(name, source)
        except Refused as error:
            if running.executors.given_up:
                raise running.executors.missing(running.size) from error
            cause = error.__cause__
            lost = executor_lost(cause, running.journal, running.executors.removed()) if cause else None
            if lost is None:
                raise
            rules, journal = policy(running.conf, running.size), running.journal
            if rules.action == FAIL or not left:
                raise lost from error
            left -= 1
            journal.add(workers_lost(lost, journal, 0))
            Survivors(running, rules).wait(lost)
            journal.add(running.executors.described())

"""Job on a running Spark context: checks, data distribution, training, scoring, output."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from jobs.trainer import checks, contract, rounds
from jobs.trainer.caffe import models, native
from jobs.trainer.caffe.datalayer import TOLD, DataLayer
from jobs.trainer.caffe.feed import record_shape
from jobs.trainer.caffe.probe import Nets, Probe
from jobs.trainer.caffe.prototxt import (
    TrainingJob,
    with_axes,
    with_labels,
    with_layers,
    with_shapes,
    with_sources,
)
from jobs.trainer.cli import Options
from jobs.trainer.contract import SAMPLE_ID, TIMEOUT_CONF, TRANSPORT_CONF
from jobs.trainer.conversion import Conversions
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.events import blame
from jobs.trainer.events.channel import Address, Channel
from jobs.trainer.events.journal import Journal
from jobs.trainer.executors import Executors
from jobs.trainer.files import storage
from jobs.trainer.files.distribution import Distribution, locate
from jobs.trainer.files.hadoop import Files, on_this_node
from jobs.trainer.ranks.proof import new_token
from jobs.trainer.ranks.resume import beside
from jobs.trainer.ranks.score import ScorePlan, Sums, means_text, quoted, schema, score_part
from jobs.trainer.ranks.train import Plan, run_rank
from jobs.trainer.sources.registry import is_custom, marker, open_source

LATE_REPORTS_S = 3.0
"""Seconds to wait for reports of ranks after a stage has failed: they race with Spark's exception."""


class Driver:
    """A job on a running Spark context; `nodes` and `executors` are those of one that has had jobs before."""

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
        self._spark, self._context = spark, spark.sparkContext
        self._options, self._job, self._datum, self._journal = options, job, datum, journal
        self._conf: Mapping[str, str] = dict(self._context.getConf().getAll())
        self._files, self._executors = Files(self._context), executors or Executors(self._context)
        self._nodes = nodes or Distribution(self._context, self._files, folder, self._conf)
        self._data = Conversions(spark, self._files, self._nodes, folder, journal, datum)
        self._size = checks.cluster_size(options, self._conf)
        self._ranks = self._size * options.devices
        self._folder, self._model = folder, ""

    def run(self, probe: Probe, channel: Channel) -> None:
        """Run the job. Nothing is written until all checks have passed.

        Raises:
            TrainerError: the job failed.
        """
        nets = self.prepare(probe)
        if self._options.train:
            self.train(channel)
        if self._options.scores:
            self._score(nets, channel.address)

    def prepare(self, probe: Probe) -> Nets:
        """Check everything, and distribute the sources; nothing is written.

        Raises:
            TrainerError: the job cannot run.
        """
        options, journal = self._options, self._journal
        for note in (*options.notes, *checks.overruled(options, self._size)):
            journal.add(contract.Note(note))
        if options.scores and len(self._job.tests) > 1:
            words = "-test and -features score the first of {} TEST nets".format(len(self._job.tests))
            journal.add(contract.Note(words))
        self._check_paths()
        nets = self._checked(probe)
        self._executors.require(self._size)
        journal.add(self._executors.described())
        journal.phase("data")
        told, counts = self._distribute_sources()
        last = checks.last_batch(options, self._job, counts)
        # A net that does not take one sample may take several: rows of a Reshape may be of two each.
        if told or (last > 1 and nets.fixed):
            evaluated = checks.evaluated(options, self._job)
            nets = self._checked(Probe(self._job, self._folder, evaluated, last))
        checks.whole_batches(self._job, nets, last, counts)
        return nets

    def train(self, channel: Channel) -> None:
        """Train, and write the model and the rounds of validation.

        Raises:
            TrainerError: training failed.
        """
        self._files.make_folder(storage.parent(self._model))
        first = self._train(channel.address)
        channel.drain(LATE_REPORTS_S)
        self._write_rounds(first)

    def _checked(self, probe: Probe) -> Nets:
        """Check the nets that a probe has built."""
        with closing(probe):
            nets = probe.result()
        checks.nets(self._options, self._job, nets)
        self._job = with_axes(with_labels(self._job, *nets.labels), nets.axes)
        return nets

    def _check_paths(self) -> None:
        options, files = self._options, self._files
        tests = [self._absolute(test.data) for test in self._job.tests]
        self._job = with_sources(self._job, self._absolute(self._job.train), tests)
        self._model = files.absolute(
            checks.model_uri(options.model, self._job) if options.train else options.model
        )
        starts = checks.starts(options, self._job)
        for _, uri in starts if options.train else [("-model", options.model)]:
            if not files.exists(uri):
                raise Refused("input-missing", uri=uri)
        for option, uri in starts:
            models.require_kind(option, uri, files.head(uri, models.HEAD))
        for source in self._sources().values():
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
            raise Refused("output-exists", uri=files.absolute(options.output))

    def _absolute(self, layer: DataLayer) -> str:
        """Return the absolute URI of a source; what one of the user's own takes, only its class knows."""
        return layer.uri if is_custom(layer.source_class) else self._files.absolute(layer.uri)

    def _sources(self) -> Dict[str, DataLayer]:
        """Return the sources to read, by phase and number: training needs TEST sources only to validate."""
        options, job = self._options, self._job
        found = {"TRAIN": job.train} if options.train else {}
        for number in checks.evaluated(options, job):
            found[job.numbered("TEST", number)] = job.tests[number].data
        return found

    def _distribute_sources(self) -> Tuple[bool, Dict[str, int]]:
        """Distribute the sources to all nodes, those that are no LMDB as one, and check the driver's copy.

        Return whether first records have told shapes of inputs, which the job has then, and the numbers of
        records by phase and number.
        """
        counts: Dict[str, int] = {}
        told = {}
        for name, source in self._sources().items():
            path = locate(self._added(name, source))
            with closing(open_source(source.source_class, path, self._datum)) as database:
                shape = database.shape()
                if source.shape == TOLD:
                    told[name] = shape = shape or record_shape(source, database)
                checks.records(source, shape)
                counts[name] = len(database)
        if self._options.train:
            names = [self._job.numbered("TEST", number) for number in range(len(self._job.tests))]
            tests = [counts.get(name, 0) for name in names]
            checks.enough(self._job, self._ranks, counts["TRAIN"], tests)
        self._job = with_layers(self._job, self._data.decoded)
        self._journal.add(contract.Data(counts))
        if told:
            self._job = with_shapes(self._job, told, native.protos())
        return bool(told), counts

    def _added(self, name: str, source: DataLayer) -> str:
        """Add a source to the job's data; return its name for `locate`."""
        try:
            with self._executors.launching(self._data.heard):
                return self._data.add(name, source)
        except Refused as error:
            if self._executors.given_up:
                raise self._executors.missing(self._size) from error
            raise

    def _train(self, channel: Address) -> int:
        """Train; return the iteration that training began at."""
        options, conf = self._options, self._conf
        self._journal.phase("train")
        plan = Plan(
            job=self._job,
            size=self._ranks,
            channel=channel,
            train=self._data.name(self._job.train),
            tests=tuple(self._data.name(test.data) if test.test_iter else "" for test in self._job.tests),
            weights=tuple(self._nodes.add(uri) for uri in checks.weights(options, self._job)),
            snapshot=self._nodes.add(options.snapshot) if options.snapshot else "",
            feed=self._feed_state(),
            snapshot_name=options.snapshot.rpartition("/")[2],
            model=self._model,
            timeout_s=float(conf.get(TIMEOUT_CONF, "120")),
            token=new_token(),
            communicate=conf.get(TRANSPORT_CONF, "ethernet") != "none",
            by_nccl=self._job.gpu and native.has_nccl(),
            connection=options.connection,
        )
        ranks_averaged, job = self._ranks if plan.communicate else 1, self._job
        if job.gpu:
            how = "are averaged by " + ("NCCL" if plan.by_nccl else "the CPU: Caffe was built without NCCL")
            how = how if plan.communicate else "are not averaged: with transport none, ranks train alone"
            words = "solver_mode GPU: {} ranks, each on a GPU of its own; gradients {}"
            self._journal.add(contract.Note(words.format(self._ranks, how)))
        self._journal.add(
            contract.Training(ranks_averaged, job.average_loss, job.iter_size, options.snapshot)
        )
        stage = self._context.parallelize(range(self._ranks), self._ranks).barrier()
        try:
            # Ranks return figures only: a later stage may run on other nodes.
            with self._executors.launching(lambda: bool(self._journal.ranks)):
                ranks: List[Dict[str, Any]] = stage.mapPartitions(partial(_run_rank, plan)).collect()
        except Exception as error:
            if self._executors.given_up:
                raise self._executors.missing(self._size) from error
            raise self._failure(error) from error
        slowest = max(rank["seconds"] for rank in ranks)
        images = sum(rank["images"] for rank in ranks)
        kept = ("rank", "host", "seconds", "waited_seconds")
        self._journal.add(
            contract.Trained(
                iterations=self._job.max_iter - ranks[0]["first"],
                images=images,
                seconds=slowest,
                images_per_s=images / slowest,
                sha256=ranks[0]["sha256"],
                hosts=[rank["host"] for rank in ranks],
                model=self._model,
                ranks=[{name: rank[name] for name in kept} for rank in ranks],
            )
        )
        return int(ranks[0]["first"])

    def _write_rounds(self, first: int) -> None:
        """Write the validations from iteration `first` on beside the model, in -outputFormat."""
        found, uri = self._journal.validations, self._model + rounds.SUFFIX
        try:
            rounds.write(self._spark, found, uri, self._options.output_format)
        except Exception as error:
            raise self._failure(error, {"model": self._model}) from error
        for event in rounds.told(self._job, first, found, uri):
            self._journal.add(event)

    def _feed_state(self) -> str:
        """Distribute the feed's state that belongs to the snapshot; return its name, empty without one."""
        if not self._options.snapshot:
            return ""
        uri = beside(self._options.snapshot)
        if self._files.exists(uri):
            return self._nodes.add(uri)
        words = "there is no {}: reading begins where the iteration says, with new random numbers"
        self._journal.add(contract.Note(words.format(uri)))
        return ""

    def scored(self, nets: Nets, channel: Address) -> Any:  # noqa: ANN401
        """Return a frame of the TEST source's rows, computed when used: features, label, outputs of -test."""
        columns = tuple(dict.fromkeys((*self._options.columns, *self._outputs(nets))))
        plan = ScorePlan(
            self._job,
            self._ranks,
            channel,
            self._data.name(self._job.tests[0].data),
            self._nodes.add_model(self._model, written=self._options.train),
            columns,
        )
        rows = self._context.parallelize(range(self._ranks), self._ranks).mapPartitionsWithIndex(
            partial(_score_part, plan)
        )
        return self._spark.createDataFrame(rows, schema(columns), verifySchema=False)

    def _outputs(self, nets: Nets) -> Tuple[str, ...]:
        """Return the outputs of the TEST net that -test takes the means of."""
        return nets.outputs if self._options.test else ()

    def _score(self, nets: Nets, channel: Address) -> None:
        self._journal.phase("score")
        self._store(self.scored(nets, channel), self._outputs(nets))

    def _store(self, frame: Any, outputs: Sequence[str]) -> None:  # noqa: ANN401
        """Write the features and the means."""
        from pyspark import StorageLevel

        options = self._options
        if options.features and options.test:
            frame = frame.persist(StorageLevel.MEMORY_AND_DISK)
        if options.features:
            with self._scoring():
                selected = frame.select(SAMPLE_ID, *map(quoted, options.columns))
                selected.write.format(options.output_format).save(storage.whole(options.output))
        if options.test:
            sums = self.sums(frame, outputs)
            # -output has the features, if there are any.
            target = storage.whole(options.output) + (".means" if options.features else "")
            means = sums.means()
            self._files.write(target, means_text(means))
            self._journal.add(contract.Means(means, sums.rows, target))

    def sums(self, frame: Any, outputs: Sequence[str]) -> Sums:  # noqa: ANN401
        """Compute the sums of columns of `scored`.

        Raises:
            TrainerError: scoring failed.
        """
        with self._scoring():
            rows = frame.select(*map(quoted, outputs)).rdd
            summed: Sums = rows.aggregate(Sums(outputs), Sums.add, Sums.merge)
            return summed

    @contextmanager
    def _scoring(self) -> Iterator[None]:
        """Raise the cause of an action that fails in this block."""
        try:
            with self._executors.launching():
                yield
        except Exception as error:
            if self._executors.given_up:
                raise self._executors.missing(self._size) from error
            # Not a snapshot to resume from: training is over.
            raise self._failure(error, {"model": self._model} if self._options.train else {}) from error

    def _failure(self, error: Exception, resume: Optional[Dict[str, Any]] = None) -> TrainerError:
        """Return the cause of a failed stage, with the snapshot to resume from or what `resume` has."""
        deadline = time.monotonic() + LATE_REPORTS_S
        while True:
            removed = self._executors.removed()
            if blame.settled(error, self._journal, removed) or time.monotonic() > deadline:
                return blame.explain(error, self._journal, removed, resume)
            time.sleep(0.05)


def _run_rank(plan: Plan, _: Any) -> List[Dict[str, Any]]:  # noqa: ANN401
    return run_rank(plan)


def _score_part(plan: ScorePlan, part: int, _: Any) -> Any:  # noqa: ANN401
    return score_part(plan, part)

"""CaffeOnSpark's main class: training, testing and features on the user's Spark context."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, Dict, Iterator, List, Sequence

from jobs.api.context import held
from jobs.api.source import TEST, TRAIN, Source
from jobs.trainer import checks, contract, rounds
from jobs.trainer.caffe import native
from jobs.trainer.caffe.probe import Nets, Probe
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.cli import Options
from jobs.trainer.contract import SAMPLE_ID
from jobs.trainer.driver import Driver
from jobs.trainer.environment import open_journal
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.events.channel import Channel
from jobs.trainer.events.journal import Journal
from jobs.trainer.ranks.score import quoted


class CaffeOnSpark:
    """Caffe on a Spark context or session. Methods print their progress.

    Args:
        sc: a SparkContext or a SparkSession.
        sqlContext: for notebooks of CaffeOnSpark's first release, which pass one.

    Raises:
        TrainerError: the context cannot be used.
    """

    def __init__(self, sc: Any, sqlContext: Any = None) -> None:  # noqa: ANN401
        self._held = held(sc)

    def train(self, train_source: Source) -> None:
        """Train, and write the model to modelPath; without validation.

        Raises:
            TrainerError: the job was refused, or failed.
        """
        _require(train_source, TRAIN, "train")
        self._train(train_source, _without_validation(train_source.job()))

    def trainWithValidation(self, train_source: Source, validation_source: Source) -> Any:  # noqa: ANN401
        """Train with interleaved validation; return a DataFrame with a row per round.

        Columns are the iteration, then an array of floats per output of the TEST net.

        Raises:
            TrainerError: the job was refused, or failed.
        """
        _require(train_source, TRAIN, "trainWithValidation")
        _require(validation_source, TEST, "trainWithValidation")
        if not train_source.config.same(validation_source.config):
            raise Refused("configurations-differ")
        job = train_source.job()
        if not (job.test_interval and any(test.test_iter for test in job.tests)):
            raise Refused("validation-off", file=train_source.config.protoFile)
        found = self._train(train_source, job).validations
        columns = rounds.columns(found)
        schema = rounds.schema(columns)
        return self._held.spark.createDataFrame(rounds.rows(found), schema, verifySchema=False)

    def test(self, test_source: Source) -> Dict[str, List[float]]:
        """Return the mean of each output of the TEST net over all records.

        Raises:
            TrainerError: the job was refused, or failed.
        """
        _require(test_source, TEST, "test")
        run = _Run(self._held, test_source, test_source.config.options("test"), test_source.job())
        with run.prepared() as nets:
            run.journal.phase("score")
            sums = run.driver.sums(nets, run.channel.address)
            means = sums.means()
            run.journal.add(contract.Means(means, sums.rows))
            return means

    def features(self, source: Source) -> Any:  # noqa: ANN401
        """Return a DataFrame with a row per record: SampleID, the features, the label.

        Rows are computed by the first action on it, with the model of now, and kept until `unpersist`.

        Raises:
            TrainerError: the job was refused.
        """
        _require(source, TEST, "features")
        if not source.config.features:
            raise Refused("features-unnamed")
        options = source.config.options("features")
        run = _Run(self._held, source, options, source.job())
        # Ranks report to the channel when the rows are computed.
        with run.prepared(keep=True) as nets:
            return _kept(run.driver.scored(nets, run.channel.address), options.columns)

    def _train(self, source: Source, job: TrainingJob) -> Journal:
        self._held.require_one_attempt()
        run = _Run(self._held, source, source.config.options("train"), job)
        with run.prepared():
            run.driver.train(run.channel)
        return run.journal


class _Run:
    """A run of the trainer's driver on a held context."""

    def __init__(self, context: Any, source: Source, options: Options, job: TrainingJob) -> None:  # noqa: ANN401
        self._held, self._job, self._evaluated = context, job, checks.evaluated(options, job)
        self._scores = options.scores
        nccl = job.gpu and native.has_nccl()
        cpu_build = native.is_cpu_build()
        size = checks.started(options, job, context.conf, cpu_build=cpu_build, nccl=nccl)
        executors = context.executors()
        executors.require(size)
        slots = executors.slots()
        if size * options.devices > 1 and slots != options.devices:
            raise Refused("executor-slots", slots=slots, devices=options.devices)
        self._folder = context.run_folder()
        context.begin()
        self.journal = open_journal()
        self.driver = Driver(
            context.spark,
            options,
            job,
            native.protos().Datum,
            self.journal,
            self._folder,
            nodes=context.nodes,
            executors=executors,
        )

    @contextmanager
    def prepared(self, *, keep: bool = False) -> Iterator[Nets]:
        """Check the run and distribute its data; `keep` leaves its channel open until the next run."""
        self.channel = Channel(self._held.context.getConf().get("spark.driver.host"), self.journal.add)
        over = not keep
        try:
            with closing(Probe(self._job, self._folder, self._evaluated, int(self._scores))) as probe:
                nets = self.driver.prepare(probe)
            yield nets
        except TrainerError as error:
            over = True
            # Without Spark's exception, whose stack fills a notebook's page.
            raise error from None
        except BaseException:
            over = True
            raise
        finally:
            if over:
                self._close()
            else:
                self._held.keep(self._close)

    def _close(self) -> None:
        self.channel.close()
        self.journal.close()


def _require(source: Source, phase: str, method: str) -> None:
    """Require a source of the phase that a method reads.

    Raises:
        Refused: it is of the other phase.
    """
    if source.phase != phase:
        raise Refused("source-of-other-phase", method=method, phase=source.phase, training=phase == TRAIN)


def _kept(frame: Any, columns: Sequence[str]) -> Any:  # noqa: ANN401 - pyspark has no types here
    """Return ids and columns of a frame, which keeps its rows once they are computed."""
    from pyspark import StorageLevel

    return frame.select(SAMPLE_ID, *map(quoted, columns)).persist(StorageLevel.MEMORY_AND_DISK)


def _without_validation(job: TrainingJob) -> TrainingJob:
    tests = tuple(replace(test, test_iter=0) for test in job.tests)
    return replace(job, test_interval=0, test_initialization=False, tests=tests)

"""Main program, run by spark-submit: `main.py -train -test … -conf solver.prototxt -model URI -output URI`.

Exit codes: 0 done, 1 failed, 2 refused before anything was changed.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, Optional, Sequence

from jobs.trainer import checks, cli, contract
from jobs.trainer.contract import EVENTS_ENV, EVENTS_URI_ENV
from jobs.trainer.environment import failed, open_journal, training_job
from jobs.trainer.errors import TrainerError
from jobs.trainer.events.journal import Journal
from jobs.trainer.events.mirror import Mirror
from jobs.trainer.session import not_started, session, stop


def main(argv: Sequence[str]) -> int:
    """Run a command line; returns the exit code."""
    journal = open_journal()
    began = time.monotonic()
    mirror = _mirror()
    try:
        options = cli.parse(argv)
        journal.phase("start")
        _run(options, journal, mirror)
    except TrainerError as error:
        journal.finish(failed(error))
        print("caffe-spark: {}".format(error), file=sys.stderr)
        return error.exit_code
    else:
        journal.finish(contract.Done(seconds=time.monotonic() - began))
        return 0
    finally:
        journal.close()
        if mirror:
            mirror.close()


def _run(options: cli.Options, journal: Journal, mirror: Optional[Mirror]) -> None:
    from jobs.trainer.caffe import native
    from jobs.trainer.caffe.probe import Probe
    from jobs.trainer.driver import Driver
    from jobs.trainer.events.channel import Channel
    from jobs.trainer.files.hadoop import Files
    from jobs.trainer.policy import policy
    from jobs.trainer.restart import await_storage

    pb = native.protos()
    job = training_job(options.conf, pb, resize=options.resize)
    evaluated = checks.evaluated(options, job)
    # Probe the nets while Spark starts, which saves a second.
    with tempfile.TemporaryDirectory(prefix="caffe-spark-") as folder, closing(
        Probe(job, Path(folder), evaluated, int(options.scores))
    ) as probe:
        nccl = job.gpu and native.has_nccl()
        conf = _settings()
        size = checks.started(options, job, conf, cpu_build=native.is_cpu_build(), nccl=nccl)
        if policy(conf, size).restarts:
            await_storage(Files(_jvm_alone()), conf, size)
        spark = session()
        try:
            host = spark.sparkContext.getConf().get("spark.driver.host")
            channel = Channel(host, journal.add)
            Driver(spark, options, job, pb.Datum, journal, Path(folder)).run(probe, channel)
            journal.phase("stop")
            channel.close()
            if mirror:
                journal.finish(contract.Done())
        except TrainerError as error:
            journal.finish(failed(error))
            raise
        finally:
            if mirror:
                mirror.close()
            stop(spark)


def _mirror() -> "Optional[Mirror]":
    """Start the mirror, before the command line can be refused: on Spark's JVM, without a session."""
    events, uri = os.environ.get(EVENTS_ENV), os.environ.get(EVENTS_URI_ENV)
    if not (events and uri):
        return None
    from jobs.trainer.files.hadoop import Files

    try:
        return Mirror(Files(_jvm_alone()), Path(events), uri)
    except Exception as error:
        print("events are not copied to {}: {}".format(uri, error), flush=True)
        return None


def _jvm_alone() -> Any:  # noqa: ANN401 - pyspark is not on the operator's machine
    """Return the attributes of a SparkContext that `Files` uses, with its Hadoop settings."""
    from pyspark import SparkContext

    SparkContext._ensure_initialized()
    jvm = SparkContext._jvm
    spark = jvm.org.apache.spark
    conf = spark.deploy.SparkHadoopUtil.get().newConfiguration(spark.SparkConf())
    return SimpleNamespace(_jvm=jvm, _jsc=SimpleNamespace(hadoopConfiguration=lambda: conf))


def _settings() -> Dict[str, str]:
    """Return Spark's settings, which spark-submit gives to the JVM, before a session takes executors."""
    from pyspark import SparkConf, SparkContext

    try:
        SparkContext._ensure_initialized()
        return dict(SparkConf().getAll())
    except Exception as error:
        raise not_started(error) from error


def _terminated(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def run(program: Callable[[Sequence[str]], int] = main) -> None:
    """Entry point: run a program with the process's arguments, and exit on SIGTERM."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(program(sys.argv[1:]))

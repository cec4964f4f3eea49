"""The program that spark-submit runs: `main.py -train -test … -conf solver.prototxt -model URI -output URI`.

Exit codes: 0 done, 1 failed, 2 refused before anything was changed.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional, Sequence

from jobs.trainer import cli, prototxt
from jobs.trainer.channel import Address, Event, Sender
from jobs.trainer.errors import Refused, TrainerError
from jobs.trainer.journal import Journal
from jobs.trainer.mirror import Mirror

EVENTS = "CAFFE_SPARK_EVENTS"
"""Environment variable: the file for progress events."""
FEED = "CAFFE_SPARK_FEED"
"""Environment variable: a file with host:port:token of who follows the events from elsewhere
(jobs/on_head/yarn.py)."""
MIRROR = "CAFFE_SPARK_EVENTS_URI"
"""Environment variable: where the events are copied to while the job runs (jobs/livy.py reads them there)."""
OVERRIDE = "CAFFE_SPARK_OVERRIDE_"
"""Prefix of environment variables that set a value over the prototxts, e.g. …_MAX_ITER."""


def main(argv: Sequence[str]) -> int:
    """Run a command line; returns the exit code."""
    events, feed = os.environ.get(EVENTS), _feed()
    journal = Journal(Path(events) if events else None, sys.stdout, Sender(address(feed)) if feed else None)
    began = time.monotonic()
    mirror = _mirror()
    try:
        options = cli.parse(argv)
        journal.phase("start")
        _run(options, journal, mirror)
    except TrainerError as error:
        journal.finish(_failed(error))
        print("caffe-spark: {}".format(error), file=sys.stderr)
        return error.exit_code
    else:
        journal.finish({"event": "done", "seconds": time.monotonic() - began})
        return 0
    finally:
        journal.close()
        if mirror:
            mirror.close()


def _failed(error: TrainerError) -> Event:
    return {
        "event": "failed",
        "message": str(error),
        "exit_code": error.exit_code,
        "words": [error.given, error.why, error.fix],
    }


def _feed() -> str:
    path = os.environ.get(FEED)
    return Path(path).read_text() if path else ""


def address(text: str) -> Address:
    """`host:port:token`, as the file has it."""
    host, port, token = text.rsplit(":", 2)
    return Address(host, int(port), token)


def _run(options: cli.Options, journal: Journal, mirror: Optional[Mirror]) -> None:
    from jobs.trainer import native
    from jobs.trainer.channel import Channel
    from jobs.trainer.driver import Driver
    from jobs.trainer.probe import Probe

    pb = native.protos()
    job = prototxt.load(_conf(options.conf), pb, _overrides(os.environ))
    with tempfile.TemporaryDirectory(prefix="caffe-spark-") as folder:
        # Caffe makes the nets while Spark starts: a second less.
        probe = Probe(job, Path(folder))
        spark = _session()
        try:
            host = spark.sparkContext.getConf().get("spark.driver.host")
            channel = Channel(host, journal.add)
            Driver(spark, options, job, pb.Datum, journal).run(probe, channel.address)
            journal.phase("stop")
            channel.close()
            if mirror:
                journal.finish({"event": "done"})
        except TrainerError as error:
            journal.finish(_failed(error))
            raise
        finally:
            if mirror:
                mirror.close()
            spark.stop()


def _mirror() -> "Optional[Mirror]":
    """Begun before anything can be refused, so without Spark: its JVM is there, and has storage's clients."""
    events, uri = os.environ.get(EVENTS), os.environ.get(MIRROR)
    if not (events and uri):
        return None
    from jobs.trainer.hadoop import Files

    try:
        return Mirror(Files(_jvm_alone()), Path(events), uri)
    except Exception as error:
        print("events are not copied to {}: {}".format(uri, error), flush=True)
        return None


def _jvm_alone() -> Any:  # noqa: ANN401 - pyspark is not on the operator's machine
    """What `Files` takes of a SparkContext, with the Hadoop settings that one would have."""
    from pyspark import SparkContext

    SparkContext._ensure_initialized()
    jvm = SparkContext._jvm
    spark = jvm.org.apache.spark
    conf = spark.deploy.SparkHadoopUtil.get().newConfiguration(spark.SparkConf())
    return SimpleNamespace(_jvm=jvm, _jsc=SimpleNamespace(hadoopConfiguration=lambda: conf))


def _conf(given: str) -> Path:
    """-conf as a local file, or as one that `--files` has brought into the working folder."""
    path = Path(given)
    if not path.is_file() and Path(path.name).is_file():
        return Path(path.name)
    return path


def _overrides(environment: Any) -> "dict[str, str]":  # noqa: ANN401 - os.environ
    found = {name: environment.get(OVERRIDE + name.upper(), "") for name in prototxt.OVERRIDES}
    for name in ("max_iter", "batch"):
        if found[name] and not (found[name].isdigit() and int(found[name]) >= 1):
            raise Refused(OVERRIDE + name.upper(), "it is {!r}".format(found[name]), "Give a whole number.")
    return found


def _session() -> Any:  # noqa: ANN401 - pyspark is not on the operator's machine
    from pyspark.sql import SparkSession

    try:
        return SparkSession.builder.getOrCreate()
    except Exception as error:
        from jobs.trainer.hadoop import java_message

        raise TrainerError(
            "Spark", "it does not start: " + java_message(error), "Run `fab doctor`."
        ) from error


def _terminated(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def run() -> None:
    """What spark-submit's program calls: `main` with the process's arguments and signals."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main(sys.argv[1:]))

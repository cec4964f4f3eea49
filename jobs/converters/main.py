"""Program of the tools, run by spark-submit: `Binary2Sequence -imageRoot URI -labelFile URI -output URI`.

Exit codes are those of the trainer: 0 done, 1 failed, 2 refused before anything was written.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Sequence

from jobs.converters import cli
from jobs.converters.progress import tell
from jobs.trainer.errors import TrainerError

FAILED = "caffe-spark: "
"""Begins the line of a failure."""
_RAISED = re.compile(r"^(?:jobs\.trainer\.errors\.\w+|\w*Error): (.+)$", re.MULTILINE)
"""Last line of a task's traceback in Spark's exception."""


def main(argv: Sequence[str]) -> int:
    """Run a command line; return the exit code."""
    began = time.monotonic()
    try:
        conversion = cli.parse(argv)
        for note in conversion.notes:
            tell(note)
        count = _run(conversion)
    except TrainerError as error:
        print("{}{}".format(FAILED, error), file=sys.stderr)
        return error.exit_code
    tell("{:,} records in {:.1f} s: {}".format(count, time.monotonic() - began, conversion.output))
    return 0


def _run(conversion: cli.Conversion) -> int:
    from jobs.converters.tools import Place, run
    from jobs.trainer.files.distribution import Distribution
    from jobs.trainer.files.hadoop import Files
    from jobs.trainer.session import session, stop

    # Spark waits for executors without a word and without a limit.
    tell("starting Spark, which waits while others hold the cluster (`fab status`)")
    spark = session()
    with tempfile.TemporaryDirectory(prefix="caffe-spark-convert-") as folder:
        try:
            context = spark.sparkContext
            files = Files(context)
            nodes = Distribution(context, files, Path(folder), dict(context.getConf().getAll()))
            return run(Place(spark, files, nodes, Path(folder)), conversion)
        except TrainerError:
            raise
        except Exception as error:
            raise TrainerError(
                "conversion-failed", tool=conversion.tool, output=conversion.output, reason=reason(error)
            ) from error
        finally:
            stop(spark)


def reason(error: Exception) -> str:
    """Return what a task raised, from Spark's exception, or the first line of the exception itself."""
    from jobs.trainer.files.hadoop import java_message

    raised: Any = _RAISED.findall(str(error))
    return (str(raised[-1]) if raised else java_message(error)).rstrip(".")


def start() -> None:
    """Entry point: run `main` with the process's arguments; SIGTERM ends it with its temporary files."""
    from jobs.trainer.main import run

    run(main)

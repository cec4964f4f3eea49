"""Program of a job that runs a user's script: `main.py SCRIPT ARGUMENT …`, run by spark-submit.

The script makes its own Spark session, as CaffeOnSpark's examples do. Exit codes are those of the trainer.
"""

from __future__ import annotations

import runpy
import sys
import time
import traceback
from typing import Optional, Sequence

from jobs.trainer import contract
from jobs.trainer.contract import KILLED
from jobs.trainer.environment import failed, open_journal
from jobs.trainer.errors import TrainerError
from jobs.trainer.session import stop


def main(argv: Sequence[str]) -> int:
    """Run a script with its arguments; returns the exit code."""
    script, *arguments = argv
    journal, began = open_journal(), time.monotonic()
    journal.phase("start")
    sys.argv = [script, *arguments]
    try:
        error = _run(script)
        if error is None:
            journal.finish(contract.Done(seconds=time.monotonic() - began))
            return contract.DONE
        journal.finish(failed(error))
        print("caffe-spark: {}".format(error), file=sys.stderr)
        return error.exit_code
    finally:
        journal.close()
        _stop_spark()


def _run(script: str) -> Optional[TrainerError]:
    """Run a script; return the error that it ends with."""
    try:
        runpy.run_path(script, run_name="__main__")
    except TrainerError as error:
        return error
    except SystemExit as end:
        # Of SIGTERM; other statuses are the script's own, also beyond those of failures.
        if end.code == KILLED:
            raise
        if end.code not in {None, 0}:
            return TrainerError("script-failed", script=script, reason="it exited with {}".format(end.code))
    except Exception as error:
        traceback.print_exc()
        lines = str(error).strip().splitlines()
        reason = "{}: {}".format(type(error).__name__, lines[0] if lines else "no message")
        return TrainerError("script-failed", script=script, reason=reason)
    return None


def _stop_spark() -> None:
    """Stop the context that a script leaves running, so that its executors end before this process."""
    pyspark = sys.modules.get("pyspark")
    context = pyspark.SparkContext._active_spark_context if pyspark else None
    if context is not None:
        stop(context)

"""Spark's session of a program, which starts with the first frame: ranks train on its context alone.

Of the CPU time that Spark's driver takes until its first stage, frames take 40 %.
"""

from __future__ import annotations

import threading
from typing import Any, Optional

from jobs.trainer.errors import TrainerError
from jobs.trainer.files.hadoop import java_message


class Session:
    """A session by its context; every other attribute is the session's own, and starts it."""

    def __init__(self, spark_context: Any) -> None:  # noqa: ANN401 - pyspark is not on the operator's machine
        self.sparkContext = spark_context
        self._started: Optional[Any] = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        with self._lock:
            if self._started is None:
                from pyspark.sql import SparkSession

                try:
                    self._started = SparkSession.builder.getOrCreate()
                except Exception as error:
                    raise not_started(error) from error
        return getattr(self._started, name)

    def stop(self) -> None:
        """Stop what has started."""
        (self._started or self.sparkContext).stop()


def session() -> Session:
    """Return a session with the settings of spark-submit; its context has started.

    Raises:
        TrainerError: Spark does not start.
    """
    from pyspark import SparkContext

    try:
        return Session(SparkContext.getOrCreate())
    except Exception as error:
        raise not_started(error) from error


def stop(spark: Any) -> None:  # noqa: ANN401
    """Stop Spark; a JVM that has been killed cannot, and its log would end in that traceback."""
    try:
        spark.stop()
    except Exception as error:
        print("Spark did not stop: {}".format(error), flush=True)


def not_started(error: Exception) -> TrainerError:
    """Return the failure of a Spark that does not start."""
    return TrainerError("spark-start-failed", reason=java_message(error))

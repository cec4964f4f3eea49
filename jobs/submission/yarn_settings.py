"""Spark's settings for a job on YARN, submitted by spark-submit or by Livy. Pure."""

from __future__ import annotations

from bootstrap import paths
from bootstrap.cluster import ClusterDocument
from jobs.capacity import DRIVER_HEAP_MB, DRIVER_MB
from jobs.job import JobPlace
from jobs.spec import JobSpec
from jobs.submission.spark_submit import environment
from jobs.trainer.contract import EVENTS_ENV, EVENTS_FILE

DRIVER_ENV = "spark.yarn.appMasterEnv."
"""Prefix of settings that are environment variables of the driver."""


def yarn_settings(spec: JobSpec, document: ClusterDocument, place: JobPlace) -> dict[str, str]:
    """Return what YARN needs besides: whole containers, and the environment of a driver that is elsewhere."""
    given = {**environment(spec, document, place), "PYTHONPATH": f"{paths.CAFFE_HOME}/python"}
    # YARN replaces it by the folder of the container's logs: the events are aggregated with them.
    given[EVENTS_ENV] = f"<LOG_DIR>/{EVENTS_FILE}"
    given["PYSPARK_PYTHON"] = paths.PYTHON
    return {
        "spark.executor.memoryOverhead": f"{spec.memory - spec.memory // 2}m",
        "spark.driver.memory": f"{DRIVER_HEAP_MB}m",
        "spark.driver.memoryOverhead": f"{DRIVER_MB - DRIVER_HEAP_MB}m",
        "spark.yarn.maxAppAttempts": "1",
        "spark.yarn.report.interval": "200ms",
        # How often the driver asks for containers while it still lacks some.
        "spark.yarn.scheduler.initial-allocation.interval": "100ms",
        "spark.yarn.scheduler.heartbeat.interval-ms": "1000",
        "spark.hadoop.yarn.resourcemanager.connect.max-wait.ms": "20000",
        **{f"{DRIVER_ENV}{name}": value for name, value in given.items()},
    }

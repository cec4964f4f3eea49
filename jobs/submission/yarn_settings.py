"""Spark settings for a job on YARN, submitted by spark-submit or by Livy. Pure."""

from __future__ import annotations

from bootstrap import paths
from bootstrap.cluster import ClusterDocument
from jobs.capacity import DRIVER_HEAP_MB, DRIVER_MB
from jobs.job import JobPlace
from jobs.spec import JobSpec
from jobs.submission.spark_submit import CONTAINER_TMP, environment
from jobs.trainer.contract import EVENTS_ENV, EVENTS_FILE

DRIVER_ENV = "spark.yarn.appMasterEnv."
"""Prefix of settings that are environment variables of the driver."""


def yarn_settings(spec: JobSpec, document: ClusterDocument, place: JobPlace) -> dict[str, str]:
    """Return the settings that YARN needs in addition: container sizes and the driver's environment."""
    given = {**environment(spec, document, place), "PYTHONPATH": f"{paths.CAFFE_HOME}/python"}
    # YARN expands <LOG_DIR> to the container's log folder, so events are aggregated with the logs.
    given[EVENTS_ENV] = f"<LOG_DIR>/{EVENTS_FILE}"
    given["PYSPARK_PYTHON"] = paths.PYTHON
    given["TMPDIR"] = CONTAINER_TMP
    return {
        "spark.executor.memoryOverhead": f"{spec.memory - spec.memory // 2}m",
        "spark.driver.memory": f"{DRIVER_HEAP_MB}m",
        "spark.driver.memoryOverhead": f"{DRIVER_MB - DRIVER_HEAP_MB}m",
        "spark.yarn.maxAppAttempts": "1",
        # Training counts its losses itself; by default the third lost executor would end the application.
        "spark.yarn.max.executor.failures": "1000",
        "spark.yarn.report.interval": "200ms",
        # Interval of container requests while some are pending.
        "spark.yarn.scheduler.initial-allocation.interval": "100ms",
        "spark.yarn.scheduler.heartbeat.interval-ms": "1000",
        "spark.hadoop.yarn.resourcemanager.connect.max-wait.ms": "20000",
        **{f"{DRIVER_ENV}{name}": value for name, value in given.items()},
    }

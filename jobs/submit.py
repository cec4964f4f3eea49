"""A specification and a cluster → the spark-submit command line. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from bootstrap import paths
from bootstrap.cluster import ClusterDocument, HdInsight, Yarn
from jobs.room import DRIVER_HEAP_MB, DRIVER_MB
from jobs.spec import JobSpec

MARK = "CAFFE_SPARK_JOB"
"""Environment variable of every process of a job, with the job's id: so that none is overlooked."""
PROGRAM, TRAINER, EVENTS = "main.py", "trainer.zip", "events.jsonl"


QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""The JVMs of a job only coordinate, Python and Caffe compute: one compiler tier starts them far sooner."""


@dataclass(frozen=True)
class JobPlace:
    """A job's id, its folder on the head, and its folder in shared storage (a URL)."""

    id: str
    folder: str
    storage: str

    @property
    def output(self) -> str:
        """URL of the features; the means lie beside them."""
        return f"{self.storage}/features"


def trainer_arguments(spec: JobSpec, place: JobPlace) -> list[str]:
    """The trainer's own arguments: CaffeOnSpark's."""
    modes = ["-train"] * spec.train + ["-test"] * spec.test
    features = ["-features", ",".join(spec.features)] if spec.features else []
    label = ["-label", spec.label] if spec.label else []
    start = ["-weights", spec.weights] if spec.weights else []
    start += ["-snapshot", spec.snapshot] if spec.snapshot else []
    return [
        *modes,
        *features,
        *label,
        *["-conf", spec.solver.name],
        *["-clusterSize", str(spec.executors)],
        *["-devices", str(spec.devices)],
        *["-connection", "ethernet"],
        *start,
        *["-model", spec.model or f"{place.storage}/{spec.name}.model"],
        *["-output", place.output],
    ]


def settings(spec: JobSpec, cluster: ClusterDocument, place: JobPlace) -> dict[str, str]:
    """Spark's settings for the job."""
    of_yarn = _yarn_settings(spec, cluster, place) if isinstance(cluster.scheduler, Yarn) else {}
    return {**_settings(spec, place), **_quick(cluster), **of_yarn}


def _quick(cluster: ClusterDocument) -> dict[str, str]:
    """HDInsight has options of its own there, a collector among them maybe: these would take their place."""
    if isinstance(cluster.members, HdInsight):
        return {}
    return {"spark.driver.extraJavaOptions": QUICK_JVM, "spark.executor.extraJavaOptions": QUICK_JVM}


def _yarn_settings(spec: JobSpec, cluster: ClusterDocument, place: JobPlace) -> dict[str, str]:
    """What YARN has to know besides: whole containers, and the environment of a driver that is elsewhere."""
    given = {**environment(spec, cluster, place), "PYTHONPATH": f"{paths.CAFFE_HOME}/python"}
    # YARN puts the folder of the container's logs in its place: the events are aggregated with them.
    given["CAFFE_SPARK_EVENTS"] = f"<LOG_DIR>/{EVENTS}"
    given["PYSPARK_PYTHON"] = paths.PYTHON
    return {
        "spark.executor.memoryOverhead": f"{spec.memory - spec.memory // 2}m",
        "spark.driver.memory": f"{DRIVER_HEAP_MB}m",
        "spark.driver.memoryOverhead": f"{DRIVER_MB - DRIVER_HEAP_MB}m",
        "spark.yarn.tags": place.id,
        "spark.yarn.maxAppAttempts": "1",
        # jobs/on_head/yarn.py follows the application: no JVM waits for its end.
        "spark.yarn.submit.waitAppCompletion": "false",
        "spark.yarn.report.interval": "200ms",
        # How often the driver asks for containers while it still lacks some.
        "spark.yarn.scheduler.initial-allocation.interval": "100ms",
        "spark.yarn.scheduler.heartbeat.interval-ms": "1000",
        "spark.hadoop.yarn.resourcemanager.connect.max-wait.ms": "20000",
        **{f"spark.yarn.appMasterEnv.{name}": value for name, value in given.items()},
    }


def _settings(spec: JobSpec, place: JobPlace) -> dict[str, str]:
    threads = str(spec.threads)
    return {
        # One task slot an executor: a barrier stage then has one rank on each.
        "spark.executor.cores": str(spec.cores),
        "spark.task.cpus": str(spec.cores),
        "spark.cores.max": str(spec.cores * spec.executors),
        "spark.executor.instances": str(spec.executors),
        "spark.executor.memory": f"{spec.memory // 2}m",
        "spark.dynamicAllocation.enabled": "false",
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "60s",
        # A rank that fails ends the job: a second copy of it could not join the others half-way.
        "spark.speculation": "false",
        "spark.task.maxFailures": "1",
        "spark.stage.maxConsecutiveAttempts": "1",
        "spark.barrier.sync.timeout": "600",
        "spark.python.worker.faulthandler.enabled": "true",
        "spark.caffespark.timeout": f"{spec.timeout:g}",
        "spark.caffespark.transport": spec.transport,
        f"spark.executorEnv.{MARK}": place.id,
        "spark.executorEnv.PYSPARK_PYTHON": paths.PYTHON,
        "spark.executorEnv.OPENBLAS_NUM_THREADS": threads,
        "spark.executorEnv.OMP_NUM_THREADS": threads,
        "spark.executorEnv.PYTHONPATH": f"{paths.CAFFE_HOME}/python",
    }


def spark_submit_argv(spec: JobSpec, cluster: ClusterDocument, place: JobPlace) -> list[str]:
    """The whole command line; run it in the job's folder on the head.

    Raises:
        ConfigError: the cluster is too small for the job.
    """
    spec.check(cluster)
    pairs = settings(spec, cluster, place).items()
    conf = [word for key, value in pairs for word in ("--conf", f"{key}={value}")]
    return [
        f"{paths.SPARK_HOME}/bin/spark-submit",
        *["--master", cluster.spark_master],
        *["--deploy-mode", "cluster" if isinstance(cluster.scheduler, Yarn) else "client"],
        *["--name", place.id],
        *conf,
        *["--files", ",".join(file.name for file in spec.shipped)],
        *["--py-files", TRAINER],
        PROGRAM,
        *trainer_arguments(spec, place),
    ]


def environment(spec: JobSpec, cluster: ClusterDocument, place: JobPlace) -> dict[str, str]:
    """The driver's environment: who it is, where its events go, and what overrides the prototxts."""
    given = {
        MARK: place.id,
        "CAFFE_SPARK_EVENTS": str(PurePosixPath(place.folder) / EVENTS),
        "OPENBLAS_NUM_THREADS": "1",
    }
    over: dict[str, object] = {"MAX_ITER": spec.max_iter, "BATCH": spec.batch}
    if spec.data:
        for phase in ("train", "test"):
            over[f"{phase}_source".upper()] = f"{cluster.shared_storage}{paths.DATA}/{spec.data}/{phase}_lmdb"
    return given | {f"CAFFE_SPARK_OVERRIDE_{name}": str(value) for name, value in over.items() if value}


def script(spec: JobSpec, cluster: ClusterDocument, place: JobPlace) -> str:
    """The shell script that runs the job on the head.

    Raises:
        ConfigError: the cluster is too small for the job.
    """
    exports = "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in environment(spec, cluster, place).items()
    )
    command = spark_submit_argv(spec, cluster, place)
    if isinstance(cluster.scheduler, Yarn):
        events = f"{place.folder}/{EVENTS}"
        manager = cluster.scheduler.resource_manager
        follow = [paths.PYTHON, "-m", "jobs.on_head.yarn", manager, place.id, events]
        # Its own modules come in the job's zip; the address that the driver calls back is the head's own.
        exports += f"export PYTHONPATH={TRAINER}\n"
        if not isinstance(cluster.members, HdInsight):
            exports += f"export SPARK_SUBMIT_OPTS={shlex.quote(QUICK_JVM)}\n"
        exports += f". {paths.IDENTITY}; export NODE_ADDRESS\n"
        command = [*follow, paths.YARN, *command]
    profile = f"[ ! -r {paths.PROFILE} ] || . {paths.PROFILE}\n"
    return f"{profile}cd {shlex.quote(place.folder)}\n{exports}exec {shlex.join(command)}\n"

"""Command line, settings and environment of spark-submit for a job. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from bootstrap import paths
from bootstrap.cluster import ClusterDocument, Yarn
from jobs.datasets import registry
from jobs.datasets.base import PHASES
from jobs.job import JobPlace
from jobs.spec import JobSpec
from jobs.trainer.contract import (
    CONTROL_CONF,
    EVENTS_ENV,
    EVENTS_FILE,
    EXECUTOR_GPUS_CONF,
    GRADIENTS_CONF,
    JOB_ENV,
    MIN_EXECUTORS_CONF,
    ON_DRIVER_LOST_CONF,
    ON_WORKER_LOST_CONF,
    OVERRIDE_ENV,
    PROGRAM_FILE,
    PYTHON_ARGS_CONF,
    REPLACEMENT_LIMIT_CONF,
    REUSE_CONF,
    SNAPSHOT_EVERY_CONF,
    TASK_GPUS_CONF,
    TIMEOUT_CONF,
    TRAINER_FILE,
    TRANSPORT_CONF,
)

QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Start-up options: a job's JVMs only coordinate, so one compiler tier and the serial collector suffice."""

CONTAINER_TMP = "{{PWD}}/tmp"
"""Folder that YARN makes for a container's temporary files, and removes with it; YARN fills in PWD."""
HEARTBEAT_S, SILENT_S = 3, 15
LINK: Mapping[str, str] = {
    "spark.executor.heartbeatInterval": f"{HEARTBEAT_S}s",
    "spark.storage.blockManagerHeartbeatTimeoutMs": f"{SILENT_S}s",
    "spark.network.timeoutInterval": f"{HEARTBEAT_S}s",
    "spark.executor.heartbeat.maxFailures": str(SILENT_S // HEARTBEAT_S),
}
"""Bounds for a cut link, on both sides of it: no connection breaks there, so only silence tells.

The driver drops an executor that was silent for SILENT_S, and looks every HEARTBEAT_S: after 15 to 18 s. An
executor ends itself when SILENT_S / HEARTBEAT_S heartbeats in turn had no answer, each for HEARTBEAT_S: it
begins to after 15 to 18 s as well, and is gone 10 s later, for which Spark waits for the thread of heartbeats
that has called the end. Spark's own values are 120 to 180 s, and 10 minutes.

Five heartbeats have to be lost in turn. They take microseconds of a JVM that only coordinates, in a thread of
its own; on two cores with three nodes at work, a thread waits for the processor for tenths of a second. Spark
requires the interval to be below `spark.network.timeout`, which stays as it is: it also limits transfers of
blocks, and requests that a busy driver answers late.
"""
SPOT_SNAPSHOT_S = 30.0
"""Seconds between snapshots where workers are spot instances: what a worker lost without notice costs."""


def trainer_arguments(spec: JobSpec, place: JobPlace) -> list[str]:
    """Return the trainer's arguments, CaffeOnSpark's."""
    modes = ["-train"] * spec.train + ["-test"] * spec.test
    told = ["-resize"] * spec.resize + ["-persistent"] * spec.persistent
    return [*modes, *_options(spec, place), *told]


def paired_options(spec: JobSpec, place: JobPlace) -> list[str]:
    """Return the options of a script or notebook, each with a value, without modes."""
    switches = {"-resize": spec.resize, "-persistent": spec.persistent}
    told = [word for name, on in switches.items() if on for word in (name, "true")]
    return [*_options(spec, place), *told]


def _options(spec: JobSpec, place: JobPlace) -> list[str]:
    features = ["-features", ",".join(spec.features)] if spec.features else []
    label = ["-label", spec.label] if spec.label else []
    start = ["-weights", spec.weights] if spec.weights else []
    start += ["-snapshot", spec.snapshot] if spec.snapshot else []
    written = ["-outputFormat", spec.outputFormat] if spec.outputFormat != "json" else []
    told = ["-lmdb_partitions", str(spec.lmdb_partitions)] if spec.lmdb_partitions else []
    return [
        *features,
        *label,
        *["-conf", spec.solver.name],
        *["-clusterSize", str(spec.executors)],
        *["-devices", str(spec.devices)],
        *["-connection", spec.connection],
        *told,
        *start,
        *["-model", spec.model or f"{place.storage}/{spec.name}.model"],
        *["-output", spec.output or place.output],
        *written,
    ]


def temporary_files(folder: str) -> str:
    """Return the option of a JVM for the folder of its temporary files."""
    return f"-Djava.io.tmpdir={folder}"


def jvm_settings(document: ClusterDocument) -> dict[str, str]:
    """Return Spark settings that shorten the start of a job's JVMs, and place executors' temporary files."""
    executor = QUICK_JVM
    if not isinstance(document.scheduler, Yarn):  # which has a folder for each container
        executor += f" {temporary_files(paths.SPARK_TMP)}"
    return {"spark.driver.extraJavaOptions": QUICK_JVM, "spark.executor.extraJavaOptions": executor}


def settings(spec: JobSpec, document: ClusterDocument, place: JobPlace) -> dict[str, str]:
    """Return the Spark settings common to all backends."""
    threads = str(spec.threads)
    # On workers with GPUs also for jobs that do not use them: no other job gets the cores without the GPU.
    gpus = {EXECUTOR_GPUS_CONF: str(spec.devices), TASK_GPUS_CONF: "1"} if document.worker.gpus else {}
    if gpus:
        # CUDA keeps the first GPU of a process, and a later task's may be another one.
        gpus[REUSE_CONF] = "false"
    return {
        **gpus,
        # One task slot a device of an executor: a barrier stage then has one rank for each.
        "spark.executor.cores": str(spec.cores),
        "spark.task.cpus": str(spec.cores // spec.devices),
        "spark.cores.max": str(spec.cores * spec.executors),
        "spark.executor.instances": str(spec.executors),
        "spark.executor.memory": f"{spec.memory // 2}m",
        "spark.dynamicAllocation.enabled": "false",
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "60s",
        # A failed rank ends the job: a retried task could not rejoin the others.
        "spark.speculation": "false",
        "spark.task.maxFailures": "1",
        "spark.stage.maxConsecutiveAttempts": "1",
        "spark.barrier.sync.timeout": "600",
        # Looks of 15 s for room for a rank each; after 10 minutes by default, while others could go on.
        "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "3",
        **LINK,
        "spark.python.worker.faulthandler.enabled": "true",
        TIMEOUT_CONF: f"{spec.timeout:g}",
        TRANSPORT_CONF: spec.transport,
        GRADIENTS_CONF: spec.gradients,
        **_recovery(spec, document, place),
        f"spark.executorEnv.{JOB_ENV}": place.id,
        "spark.executorEnv.PYSPARK_PYTHON": paths.PYTHON,
        "spark.executorEnv.TMPDIR": CONTAINER_TMP
        if isinstance(document.scheduler, Yarn)
        else paths.SPARK_TMP,
        "spark.executorEnv.OPENBLAS_NUM_THREADS": threads,
        "spark.executorEnv.OMP_NUM_THREADS": threads,
        "spark.executorEnv.PYTHONPATH": f"{paths.CAFFE_HOME}/python",
    }


def _recovery(spec: JobSpec, document: ClusterDocument, place: JobPlace) -> dict[str, str]:
    """Return the settings of a job that goes on after a lost worker."""
    every = spec.snapshotEvery
    if every is None:
        every = SPOT_SNAPSHOT_S if document.members.spot else 0.0
    return {
        ON_DRIVER_LOST_CONF: spec.onDriverLost,
        ON_WORKER_LOST_CONF: spec.onWorkerLost,
        REPLACEMENT_LIMIT_CONF: f"{spec.replacementLimit:.15g}",
        MIN_EXECUTORS_CONF: str(spec.minExecutors),
        SNAPSHOT_EVERY_CONF: f"{every:.15g}",
        CONTROL_CONF: place.storage,
    }


def spark_submit_argv(
    spec: JobSpec, place: JobPlace, *, master: str, deploy_mode: str, conf: Mapping[str, str]
) -> list[str]:
    """Return spark-submit's command line, to run in the job's working folder on the head."""
    arguments = trainer_arguments(spec, place)
    if spec.script:
        options = paired_options(spec, place)
        # Without `arguments`, which Config would refuse.
        conf = {**conf, PYTHON_ARGS_CONF: " ".join(options)}
        arguments = [spec.script.name, *options, *spec.arguments]
    return [
        f"{paths.SPARK_HOME}/bin/spark-submit",
        *["--master", master],
        *["--deploy-mode", deploy_mode],
        *["--name", place.id],
        *[word for key, value in conf.items() for word in ("--conf", f"{key}={value}")],
        *["--files", ",".join(file.name for file in spec.shipped)],
        *["--py-files", TRAINER_FILE],
        PROGRAM_FILE,
        *arguments,
    ]


def environment(spec: JobSpec, document: ClusterDocument, place: JobPlace) -> dict[str, str]:
    """Return the driver's environment: the job, the file of its events, and overrides of the prototxts."""
    given = {
        JOB_ENV: place.id,
        EVENTS_ENV: str(PurePosixPath(place.work) / EVENTS_FILE),
        "OPENBLAS_NUM_THREADS": "1",
    }
    over: dict[str, object] = {"MAX_ITER": spec.max_iter, "BATCH": spec.batch}
    over["SOLVER_MODE"] = solver_mode(spec, document)
    over["FINAL_VALIDATION"] = 1 if spec.final_validation else 0
    if spec.data and registry.built_in(spec.data):
        for phase in PHASES:
            source = f"{document.shared_storage}{registry.path_of(spec.data)}/{phase}_lmdb"
            over[f"{phase}_source".upper()] = source
    return given | {f"{OVERRIDE_ENV}{name}": str(value) for name, value in over.items() if value}


def solver_mode(spec: JobSpec, document: ClusterDocument) -> str:
    """Return the solver's mode, CPU or GPU; empty where the prototxt's is left."""
    if spec.solver_mode == "auto":
        return "GPU" if document.worker.gpus else "CPU"
    return spec.solver_mode or ""


def script(place: JobPlace, exports: Mapping[str, str], command: Sequence[str], *, before: str = "") -> str:
    """Return the script that runs a command in the job's working folder, after the shell code `before`."""
    # The JVM asks its own setting, Spark another variable than everybody.
    temporary = {
        "TMPDIR": place.temporary,
        "SPARK_LOCAL_DIRS": place.temporary,
        "SPARK_SUBMIT_OPTS": temporary_files(place.temporary),
    }
    variables = "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in {**temporary, **exports}.items()
    )
    folder, made = shlex.quote(place.work), shlex.quote(place.temporary)
    enter = f"{paths.LOAD_PROFILE}\ncd {folder}\nmkdir -p {made}\n"
    return f"{enter}{variables}{before}exec {shlex.join(command)}\n"

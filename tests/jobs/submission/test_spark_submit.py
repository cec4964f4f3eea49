"""Specification and cluster → command line."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bootstrap import paths
from bootstrap.cluster import AutoScalingGroup, Cluster
from jobs.api import Config
from jobs.backends.standalone import job_script
from jobs.job import JobPlace
from jobs.spec import JobSpec
from jobs.spec_file import read_spec
from jobs.submission.spark_submit import (
    environment,
    jvm_settings,
    script,
    settings,
    trainer_arguments,
)
from jobs.submission.yarn_settings import yarn_settings
from jobs.trainer.cli import parse
from tests.jobs.specs import SPECS, mnist_spec

PLACE = JobPlace("mnist-1", "/var/lib/caffe-spark/jobs/mnist-1", "hdfs://head:9000/jobs/mnist-1")
RECOVERY = ("onDriverLost", "onWorkerLost", "replacementLimit", "minExecutors", "snapshotEvery")


def argv(given: JobSpec, cluster: Cluster) -> list[str]:
    """spark-submit's words, from the last line of the script that runs the job."""
    return shlex.split(job_script(given, cluster, PLACE).splitlines()[-1])


def conf(given: JobSpec, cluster: Cluster) -> dict[str, str]:
    words = argv(given, cluster)
    pairs = [words[i + 1] for i, word in enumerate(words) if word == "--conf"]
    return dict(pair.split("=", 1) for pair in pairs)


def test_mnist_is_caffeonsparks_own_command_line() -> None:
    assert shlex.join(trainer_arguments(mnist_spec(), PLACE)) == (
        "-train -test -features accuracy,loss -label label -conf lenet_memory_solver.prototxt "
        "-clusterSize 2 -devices 1 -connection ethernet -model hdfs://head:9000/jobs/mnist-1/mnist.model "
        "-output hdfs://head:9000/jobs/mnist-1/features"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"test": False},
        {"features": (), "label": ""},
        {"features": (), "label": "", "test": False},
        {"train": False, "model": "hdfs:///m"},
        {"weights": "hdfs:///a.caffemodel", "snapshot": "hdfs:///a.solverstate"},
        {"executors": 1},
        {"executors": 1, "connection": "rdma"},
        {"outputFormat": "parquet", "output": "hdfs:///my results"},
        {"persistent": True, "lmdb_partitions": 4},
        {"resize": True},
    ],
)
def test_the_trainer_takes_every_command_line_that_is_made(changes: dict[str, Any]) -> None:
    given = mnist_spec(**changes)

    options = parse(trainer_arguments(given, PLACE))

    assert (options.train, options.test, options.features) == (given.train, given.test, given.features)
    assert options.cluster_size == given.executors
    assert (options.connection, options.output_format) == (given.connection, given.outputFormat)
    assert options.output == (given.output or PLACE.output)
    assert len(options.notes) == given.persistent + (given.lmdb_partitions is not None)


@pytest.mark.parametrize(("executors", "cores"), [(1, 1), (2, 1), (4, 1), (2, 2)])
def test_every_executor_has_exactly_one_task_slot(cluster: Cluster, executors: int, cores: int) -> None:
    found = conf(mnist_spec(executors=executors, cores=cores), cluster)

    assert found["spark.executor.cores"] == found["spark.task.cpus"] == str(cores)
    assert found["spark.cores.max"] == str(executors * cores)
    assert found["spark.executor.instances"] == str(executors)


def with_gpus(cluster: Cluster, number: int) -> Cluster:
    return cluster.model_copy(update={"worker": cluster.worker.model_copy(update={"gpus": number})})


def test_on_workers_with_gpus_every_executor_has_a_task_slot_for_each_of_its_devices(
    cluster: Cluster,
) -> None:
    executor, task = "spark.executor.resource.gpu.amount", "spark.task.resource.gpu.amount"
    reuse = "spark.python.worker.reuse"
    assert not {executor, task, reuse} & set(conf(mnist_spec(), cluster))

    found = conf(mnist_spec(cores=8, devices=4), with_gpus(cluster, 4))

    assert (found[executor], found[task]) == ("4", "1")
    assert found[reuse] == "false", "a worker would keep the GPU of its first task"
    assert (found["spark.executor.cores"], found["spark.task.cpus"]) == ("8", "2")


@pytest.mark.parametrize(
    ("given", "gpus", "mode"),
    [("auto", 0, "CPU"), ("auto", 1, "GPU"), ("CPU", 1, "CPU"), ("GPU", 1, "GPU"), (None, 1, "")],
)
def test_the_solvers_mode_is_that_of_the_workers_unless_the_specification_has_one(
    cluster: Cluster, given: str | None, gpus: int, mode: str
) -> None:
    found = environment(mnist_spec(solver_mode=given), with_gpus(cluster, gpus), PLACE)

    assert found.get("CAFFE_SPARK_OVERRIDE_SOLVER_MODE", "") == mode


def test_a_failed_rank_ends_the_job_at_once(cluster: Cluster) -> None:
    found = conf(mnist_spec(), cluster)

    assert found["spark.task.maxFailures"] == found["spark.stage.maxConsecutiveAttempts"] == "1"
    assert found["spark.speculation"] == "false"
    assert found["spark.python.worker.faulthandler.enabled"] == "true"


def test_a_job_goes_on_after_a_lost_worker_as_its_specification_says(cluster: Cluster) -> None:
    found = conf(
        mnist_spec(
            onDriverLost="restart",
            onWorkerLost="wait",
            replacementLimit="15 min",
            minExecutors=2,
            snapshotEvery="90 s",
        ),
        cluster,
    )

    assert {name: found[f"spark.caffespark.{name}"] for name in (*RECOVERY, "control")} == {
        "onDriverLost": "restart",
        "onWorkerLost": "wait",
        "replacementLimit": "900",
        "minExecutors": "2",
        "snapshotEvery": "90",
        "control": PLACE.storage,
    }


def test_a_long_limit_is_passed_in_full(cluster: Cluster) -> None:
    found = conf(mnist_spec(replacementLimit="600 h", snapshotEvery="0.5 s"), cluster)

    assert found["spark.caffespark.replacementLimit"] == "2160000"
    assert found["spark.caffespark.snapshotEvery"] == "0.5"


def with_group(cluster: Cluster, **fields: str) -> Cluster:
    group = AutoScalingGroup.model_validate(
        {"name": "workers", "region": "eu-west-1", "desired_capacity": 2, **fields}
    )
    return cluster.model_copy(update={"members": group})


@pytest.mark.parametrize(
    ("fields", "told", "seconds"),
    [
        ({"market": "spot"}, None, "30"),
        ({}, None, "30"),
        ({"market": "on_demand"}, None, "0"),
        ({"market": "spot"}, "none", "0"),
        ({"market": "on_demand"}, "5 min", "300"),
    ],
)
def test_snapshots_are_taken_every_half_minute_where_workers_are_spot_instances(
    cluster: Cluster, fields: dict[str, str], told: str | None, seconds: str
) -> None:
    found = conf(mnist_spec(snapshotEvery=told), with_group(cluster, **fields))

    assert found["spark.caffespark.snapshotEvery"] == seconds


def test_without_a_market_only_the_solver_takes_snapshots(cluster: Cluster) -> None:
    assert conf(mnist_spec(), cluster)["spark.caffespark.snapshotEvery"] == "0"


def test_a_cut_link_is_noticed_on_both_sides_within_twenty_seconds(cluster: Cluster) -> None:
    found = conf(mnist_spec(), cluster)

    def seconds(name: str) -> int:
        return int(found[name].removesuffix("s"))

    beat, silent = seconds("spark.executor.heartbeatInterval"), "spark.storage.blockManagerHeartbeatTimeoutMs"
    look = seconds("spark.network.timeoutInterval")
    # Spark refuses a driver's settings otherwise.
    assert beat <= seconds(silent) >= look
    assert beat < 120, "spark.network.timeout, of which the interval has to be a part"
    assert 15 <= seconds(silent) + look <= 20
    assert 15 <= beat * (int(found["spark.executor.heartbeat.maxFailures"]) + 1) <= 20


def test_temporary_files_of_executors_lie_where_the_nodes_service_removes_them(cluster: Cluster) -> None:
    found = conf(mnist_spec(), cluster)

    assert found["spark.executorEnv.TMPDIR"] == paths.SPARK_TMP
    assert f"-Djava.io.tmpdir={paths.SPARK_TMP}" in found["spark.executor.extraJavaOptions"].split()


def test_on_yarn_they_lie_in_the_container(yarn_cluster: Cluster) -> None:
    found = settings(mnist_spec(), yarn_cluster, PLACE) | yarn_settings(mnist_spec(), yarn_cluster, PLACE)

    ours = (found["spark.executorEnv.TMPDIR"], found["spark.yarn.appMasterEnv.TMPDIR"])
    assert ours == ("{{PWD}}/tmp", "{{PWD}}/tmp")
    assert "java.io.tmpdir" not in jvm_settings(yarn_cluster)["spark.executor.extraJavaOptions"]


def test_a_driver_has_a_folder_of_its_own_for_temporary_files(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    place = JobPlace("mnist-1", str(tmp_path), "hdfs://head:9000/jobs/mnist-1")
    asked = "ls -d $TMPDIR; echo $SPARK_LOCAL_DIRS; echo $SPARK_SUBMIT_OPTS"

    text = script(place, {}, ["sh", "-c", asked]).replace(paths.PROFILE, "/nonexistent")
    said = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True).stdout

    folder = f"{tmp_path}/work/tmp"
    assert said.splitlines() == [folder, folder, f"-Djava.io.tmpdir={folder}"]


def test_half_the_memory_is_the_jvms_and_blas_keeps_to_its_threads(cluster: Cluster) -> None:
    found = conf(mnist_spec(memory="2 GiB", cores=2, threads=2), cluster)

    assert found["spark.executor.memory"] == "1024m"
    assert (
        found["spark.executorEnv.OPENBLAS_NUM_THREADS"] == found["spark.executorEnv.OMP_NUM_THREADS"] == "2"
    )


def test_every_process_carries_the_jobs_id(cluster: Cluster) -> None:
    assert conf(mnist_spec(), cluster)["spark.executorEnv.CAFFE_SPARK_JOB"] == "mnist-1"
    assert environment(mnist_spec(), cluster, PLACE)["CAFFE_SPARK_JOB"] == "mnist-1"


def test_files_travel_by_their_names(cluster: Cluster) -> None:
    words = argv(mnist_spec(), cluster)

    assert (
        words[words.index("--files") + 1] == "lenet_memory_solver.prototxt,lenet_memory_train_test.prototxt"
    )
    assert words[words.index("--py-files") + 1] == "trainer.zip"
    assert words[words.index("--master") + 1] == "spark://head:7077"


def test_the_specification_goes_over_the_prototxts(cluster: Cluster) -> None:
    found = environment(mnist_spec(max_iter=50, batch=16), cluster, PLACE)

    assert found["CAFFE_SPARK_OVERRIDE_MAX_ITER"] == "50"
    assert found["CAFFE_SPARK_OVERRIDE_BATCH"] == "16"
    assert found["CAFFE_SPARK_OVERRIDE_TRAIN_SOURCE"] == "hdfs://head:9000/data/mnist/train_lmdb"
    assert found["CAFFE_SPARK_OVERRIDE_TEST_SOURCE"] == "hdfs://head:9000/data/mnist/test_lmdb"


@pytest.mark.parametrize("data", [None, "pets"])
def test_without_a_built_in_data_set_the_prototxts_own_sources_stay(
    cluster: Cluster, data: str | None
) -> None:
    found = environment(mnist_spec(data=data, batch=None, solver_mode=None), cluster, PLACE)

    assert not [name for name in found if name.startswith("CAFFE_SPARK_OVERRIDE_")]


def test_no_secret_is_in_the_script(cluster: Cluster) -> None:
    text = job_script(mnist_spec(), cluster, PLACE)

    assert cluster.spark_secret.get_secret_value() not in text
    assert "PRIVATE" not in text


def test_the_script_runs_in_the_jobs_folder_with_every_word_quoted(cluster: Cluster) -> None:
    text = job_script(mnist_spec(features=("a$b", "loss")), cluster, PLACE)

    assert "cd /var/lib/caffe-spark/jobs/mnist-1/work\n" in text
    assert "'a$b,loss'" in text
    assert text.splitlines()[-1].startswith("exec /opt/spark/bin/spark-submit ")


def test_a_script_runs_in_the_trainers_place_with_caffeonsparks_setting(cluster: Cluster) -> None:
    given = read_spec(SPECS / "logistic_regression.yaml").model_copy(
        update={"arguments": ("--epochs", "3"), "resize": True}
    )

    words = argv(given, cluster)

    program = words.index("main.py")
    assert words[program + 1] == "logistic_regression.py"
    assert words[-2:] == ["--epochs", "3"]
    setting = conf(given, cluster)["spark.pythonargs"]
    assert setting == " ".join(words[program + 2 : -2])
    assert Config(None, setting.split()).resize is True
    assert "logistic_regression.py" in words[words.index("--files") + 1].split(",")

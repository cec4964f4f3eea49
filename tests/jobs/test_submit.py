"""Specification and cluster → command line."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from bootstrap.cluster import Cluster
from bootstrap.errors import ConfigError
from jobs.spec import JobSpec
from jobs.submit import JobPlace, environment, script, spark_submit_argv, trainer_arguments
from jobs.trainer.cli import parse
from tests.jobs.conftest import SPECS

PLACE = JobPlace("mnist-1", "/var/lib/caffe-spark/jobs/mnist-1", "hdfs://head:9000/jobs/mnist-1")


def spec(**changes: Any) -> JobSpec:
    read = JobSpec.from_file(SPECS / "mnist.yaml")
    return JobSpec.model_validate({**read.model_dump(), **changes})


def conf(argv: list[str]) -> dict[str, str]:
    pairs = [argv[i + 1] for i, word in enumerate(argv) if word == "--conf"]
    return dict(pair.split("=", 1) for pair in pairs)


def test_mnist_is_caffeonsparks_own_command_line() -> None:
    assert shlex.join(trainer_arguments(spec(), PLACE)) == (
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
    ],
)
def test_the_trainer_takes_every_command_line_that_is_made(changes: dict[str, Any]) -> None:
    given = spec(**changes)

    options = parse(trainer_arguments(given, PLACE))

    assert (options.train, options.test, options.features) == (given.train, given.test, given.features)
    assert options.cluster_size == given.executors


@pytest.mark.parametrize(("executors", "cores"), [(1, 1), (2, 1), (4, 1), (2, 2)])
def test_every_executor_has_exactly_one_task_slot(cluster: Cluster, executors: int, cores: int) -> None:
    found = conf(spark_submit_argv(spec(executors=executors, cores=cores), cluster, PLACE))

    assert found["spark.executor.cores"] == found["spark.task.cpus"] == str(cores)
    assert found["spark.cores.max"] == str(executors * cores)
    assert found["spark.executor.instances"] == str(executors)


def test_a_failed_rank_ends_the_job_at_once(cluster: Cluster) -> None:
    found = conf(spark_submit_argv(spec(), cluster, PLACE))

    assert found["spark.task.maxFailures"] == found["spark.stage.maxConsecutiveAttempts"] == "1"
    assert found["spark.speculation"] == "false"
    assert found["spark.python.worker.faulthandler.enabled"] == "true"


def test_half_the_memory_is_the_jvms_and_blas_keeps_to_its_threads(cluster: Cluster) -> None:
    found = conf(spark_submit_argv(spec(memory="2 GiB", cores=2, threads=2), cluster, PLACE))

    assert found["spark.executor.memory"] == "1024m"
    assert (
        found["spark.executorEnv.OPENBLAS_NUM_THREADS"] == found["spark.executorEnv.OMP_NUM_THREADS"] == "2"
    )


def test_every_process_carries_the_jobs_id(cluster: Cluster) -> None:
    assert conf(spark_submit_argv(spec(), cluster, PLACE))["spark.executorEnv.CAFFE_SPARK_JOB"] == "mnist-1"
    assert environment(spec(), cluster, PLACE)["CAFFE_SPARK_JOB"] == "mnist-1"


def test_files_travel_by_their_names(cluster: Cluster) -> None:
    argv = spark_submit_argv(spec(), cluster, PLACE)

    assert argv[argv.index("--files") + 1] == "lenet_memory_solver.prototxt,lenet_memory_train_test.prototxt"
    assert argv[argv.index("--py-files") + 1] == "trainer.zip"
    assert argv[argv.index("--master") + 1] == "spark://head:7077"


def test_the_specification_goes_over_the_prototxts(cluster: Cluster) -> None:
    found = environment(spec(max_iter=50, batch=16), cluster, PLACE)

    assert found["CAFFE_SPARK_OVERRIDE_MAX_ITER"] == "50"
    assert found["CAFFE_SPARK_OVERRIDE_BATCH"] == "16"
    assert found["CAFFE_SPARK_OVERRIDE_TRAIN_SOURCE"] == "hdfs://head:9000/data/mnist/train_lmdb"
    assert found["CAFFE_SPARK_OVERRIDE_TEST_SOURCE"] == "hdfs://head:9000/data/mnist/test_lmdb"


def test_without_a_data_set_the_prototxts_own_sources_stay(cluster: Cluster) -> None:
    found = environment(spec(data=None, batch=None), cluster, PLACE)

    assert not [name for name in found if name.startswith("CAFFE_SPARK_OVERRIDE_")]


def test_a_job_that_does_not_fit_has_no_command_line(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="room for 4"):
        spark_submit_argv(spec(executors=5), cluster, PLACE)


def test_no_secret_is_in_the_script(cluster: Cluster) -> None:
    text = script(spec(), cluster, PLACE)

    assert cluster.spark_secret.get_secret_value() not in text
    assert "PRIVATE" not in text


def test_the_script_runs_in_the_jobs_folder_with_every_word_quoted(cluster: Cluster) -> None:
    text = script(spec(features=("a$b", "loss")), cluster, PLACE)

    assert "cd /var/lib/caffe-spark/jobs/mnist-1\n" in text
    assert "'a$b,loss'" in text
    assert text.splitlines()[-1].startswith("exec /opt/spark/bin/spark-submit ")


# ---- YARN

ON_YARN = JobPlace("mnist-1", "/var/lib/caffe-spark/jobs/mnist-1", "wasb://data@account1.blob/jobs/mnist-1")


def test_on_yarn_the_driver_runs_in_the_cluster_and_a_program_of_ours_follows_it(
    yarn_cluster: Cluster,
) -> None:
    argv = spark_submit_argv(spec(), yarn_cluster, ON_YARN)
    assert argv[argv.index("--master") + 1] == "yarn"
    assert argv[argv.index("--deploy-mode") + 1] == "cluster"
    last = script(spec(), yarn_cluster, ON_YARN).splitlines()[-1]
    follow = "-m jobs.on_head.yarn http://head:8088 mnist-1 /var/lib/caffe-spark/jobs/mnist-1/events.jsonl"
    assert follow in last
    assert "spark-submit --master yarn" in last


def test_on_yarn_a_container_holds_the_whole_executor(yarn_cluster: Cluster) -> None:
    found = conf(spark_submit_argv(spec(memory="1536 MiB", executors=1), yarn_cluster, ON_YARN))
    assert (found["spark.executor.memory"], found["spark.executor.memoryOverhead"]) == ("768m", "768m")
    assert found["spark.executor.instances"] == "1"
    driver = (found["spark.driver.memory"], found["spark.driver.memoryOverhead"])
    assert driver == ("512m", "512m")


def test_on_yarn_the_drivers_environment_travels_with_the_job(yarn_cluster: Cluster) -> None:
    found = conf(spark_submit_argv(spec(max_iter=300), yarn_cluster, ON_YARN))
    prefix = "spark.yarn.appMasterEnv."
    assert found[prefix + "CAFFE_SPARK_JOB"] == "mnist-1"
    assert found[prefix + "CAFFE_SPARK_OVERRIDE_MAX_ITER"] == "300"
    assert found[prefix + "CAFFE_SPARK_EVENTS"] == "<LOG_DIR>/events.jsonl"
    source = found[prefix + "CAFFE_SPARK_OVERRIDE_TRAIN_SOURCE"]
    assert source == "wasb://data@account1.blob.core.windows.net/data/mnist/train_lmdb"


def test_on_yarn_a_dead_resource_manager_is_not_waited_for(yarn_cluster: Cluster) -> None:
    found = conf(spark_submit_argv(spec(), yarn_cluster, ON_YARN))
    assert int(found["spark.hadoop.yarn.resourcemanager.connect.max-wait.ms"]) <= 30_000
    assert found["spark.yarn.submit.waitAppCompletion"] == "false"
    assert found["spark.yarn.maxAppAttempts"] == "1"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"memory": "3 GiB"}, ("memory: 3072 MiB", "largest container has 2048 MiB")),
        ({"executors": 4}, ("executors: 4", "room for 3", "less 1024 MiB and a core for the driver")),
        ({"executors": 2, "cores": 2}, ("room for 1",)),
    ],
)
def test_on_yarn_room_is_counted_with_the_driver(
    yarn_cluster: Cluster, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as refused:
        spark_submit_argv(spec(**changes), yarn_cluster, ON_YARN)
    for word in words:
        assert word in str(refused.value)

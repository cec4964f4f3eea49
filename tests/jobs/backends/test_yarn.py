"""Jobs on YARN: the script that submits and follows them."""

from __future__ import annotations

import shlex

from bootstrap.cluster import Cluster
from jobs.backends.yarn import job_script
from jobs.job import JobPlace
from jobs.spec import JobSpec
from tests.jobs.specs import mnist_spec

ON_YARN = JobPlace("mnist-1", "/var/lib/caffe-spark/jobs/mnist-1", "wasb://data@account1.blob/jobs/mnist-1")


def argv(given: JobSpec, cluster: Cluster) -> list[str]:
    """The words of the program that follows the job, and then spark-submit's."""
    return shlex.split(job_script(given, cluster, ON_YARN).splitlines()[-1])


def conf(given: JobSpec, cluster: Cluster) -> dict[str, str]:
    words = argv(given, cluster)
    pairs = [words[i + 1] for i, word in enumerate(words) if word == "--conf"]
    return dict(pair.split("=", 1) for pair in pairs)


def test_on_yarn_the_driver_runs_in_the_cluster_and_a_program_of_ours_follows_it(
    yarn_cluster: Cluster,
) -> None:
    words = argv(mnist_spec(), yarn_cluster)
    assert words[words.index("--master") + 1] == "yarn"
    assert words[words.index("--deploy-mode") + 1] == "cluster"
    last = job_script(mnist_spec(), yarn_cluster, ON_YARN).splitlines()[-1]
    events = "/var/lib/caffe-spark/jobs/mnist-1/work/events.jsonl"
    assert f"-m jobs.backends.on_head.yarn http://head:8088 mnist-1 {events}" in last
    assert "spark-submit --master yarn" in last


def test_on_yarn_a_container_holds_the_whole_executor(yarn_cluster: Cluster) -> None:
    found = conf(mnist_spec(memory="1536 MiB", executors=1), yarn_cluster)
    assert (found["spark.executor.memory"], found["spark.executor.memoryOverhead"]) == ("768m", "768m")
    assert found["spark.executor.instances"] == "1"
    driver = (found["spark.driver.memory"], found["spark.driver.memoryOverhead"])
    assert driver == ("512m", "512m")


def test_on_yarn_the_drivers_environment_travels_with_the_job(yarn_cluster: Cluster) -> None:
    found = conf(mnist_spec(max_iter=300), yarn_cluster)
    prefix = "spark.yarn.appMasterEnv."
    assert found[prefix + "CAFFE_SPARK_JOB"] == "mnist-1"
    assert found[prefix + "CAFFE_SPARK_OVERRIDE_MAX_ITER"] == "300"
    assert found[prefix + "CAFFE_SPARK_EVENTS"] == "<LOG_DIR>/events.jsonl"
    source = found[prefix + "CAFFE_SPARK_OVERRIDE_TRAIN_SOURCE"]
    assert source == "wasb://data@account1.blob.core.windows.net/data/mnist/train_lmdb"


def test_on_yarn_a_dead_resource_manager_is_not_waited_for(yarn_cluster: Cluster) -> None:
    found = conf(mnist_spec(), yarn_cluster)
    assert int(found["spark.hadoop.yarn.resourcemanager.connect.max-wait.ms"]) <= 30_000
    assert found["spark.yarn.submit.waitAppCompletion"] == "false"
    assert found["spark.yarn.maxAppAttempts"] == "1"

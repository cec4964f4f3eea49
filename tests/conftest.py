"""Fixtures shared by all tests: clusters as the contract defines them."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Mapping

import pytest
from rich.console import Console
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from bootstrap.cluster import S3, CloudLogs, Cluster, ClusterDocument
from bootstrap.inventory.resolve import resolve
from tests.signing import SIGNING_KEY

gc.disable()  # until everything is collected: a quarter of that time

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell sets it for background processes, and children inherit it: Ctrl-C could not be tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)


pytest_plugins = ["tests.cloud.blob_server"]

GROUPS = {
    "tests/infra/aws/": "aws",
    "tests/infra/azure/": "azure",
    "tests/jobs/report/test_chart.py": "chart",
    "tests/jobs/report/test_forged.py": "chart",
    "tests/jobs/report/test_tensorboard.py": "chart",
    "tests/jobs/run/test_curve.py": "chart",
    "tests/tools/test_setup_as_a_user.py": "user",
    "tests/bootstrap/framework/test_ensure.py": "aws",
    "tests/bootstrap/inventory/test_machines.py": "aws",
    "tests/bootstrap/inventory/test_resolve.py": "aws",
    "tests/bootstrap/inventory/test_spending.py": "aws",
    "tests/bootstrap/support/test_cloud.py": "aws",
    "tests/bootstrap/join/on_node/test_group.py": "aws",
    "tests/jobs/run/test_billing.py": "aws",
    "tests/bootstrap/clouds/test_azure.py": "azure",
    "tests/bootstrap/inventory/test_hdinsight.py": "azure",
    "tests/bootstrap/script_actions/test_hdinsight.py": "azure",
    "tests/bootstrap/storage/test_blob.py": "azure",
}
"""Tests that run in one process: loading a cloud's SDK or matplotlib, and starting a server, take seconds."""


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out tests one by one, those of a group together."""

    def _split_scope(self, nodeid: str) -> str:
        return next((group for place, group in GROUPS.items() if nodeid.startswith(place)), nodeid)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two more than there are cores: tests wait, for processes and connections, a third of their time."""
    return len(os.sched_getaffinity(0)) + 2


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Schedule by our groups."""
    # `--dist loadgroup` of xdist 3.8 groups nothing on pytest 9.2.
    return Scheduling(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what takes compiled Caffe."""
    if "caffe" in getattr(item, "fixturenames", ()):
        item.add_marker("caffe")


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of garbage collection, and collect less often: a fifth of the
    suite's time, for some megabytes."""
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)
    gc.enable()


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPrp3Lx5NlHZQwBfwfmPYgpNKvJ6XhbvZQO1oQO3HZ0N"


def cluster_of(document: Mapping[str, object]) -> Cluster:
    """Return the cluster of a document that names its nodes."""
    return resolve(ClusterDocument.model_validate(document), Console())


@pytest.fixture
def cluster_document() -> dict[str, object]:
    """The `cluster` output of a stack with a head and two workers."""
    return {
        "version": 2,
        "stack": "dev",
        "provider": "local",
        "head": {"name": "head", "address": "10.9.8.10", "host_key": HOST_KEY},
        "scheduler": {"kind": "standalone", "master": "spark://head:7077"},
        "storage": {"kind": "hdfs", "uri": "hdfs://head:9000"},
        "members": {
            "kind": "fixed",
            "workers": [
                {"name": "w1", "address": "10.9.8.11", "host_key": HOST_KEY},
                {"name": "w2", "address": "10.9.8.12", "host_key": HOST_KEY},
            ],
        },
        "ssh": {"user": "ops", "private_key": "-----PRIVATE-----"},
        "spark_secret": "not-to-be-seen",
        "worker": {"cores": 2, "memory_mb": 2048, "gpus": 0},
        "spark": "4.3",
        "signing": {
            "private_key": SIGNING_KEY.private_key.get_secret_value(),
            "public_key": SIGNING_KEY.public_key,
        },
    }


@pytest.fixture
def cluster(cluster_document: dict[str, object]) -> Cluster:
    """The cluster of this document."""
    return cluster_of(cluster_document)


@pytest.fixture
def aws_cluster(cluster: Cluster) -> Cluster:
    """The cluster on a bucket, with a role for jobs, and a log group."""
    role = "arn:aws:iam::123456789012:role/caffe-spark-dev-job-1"
    storage = S3(uri="s3a://bucket", region="eu-west-1", job_role=role)
    logs = CloudLogs(group="caffe-spark/dev", region="eu-west-1")
    return cluster.model_copy(update={"storage": storage, "cloud_logs": logs})


@pytest.fixture
def yarn_document(cluster_document: dict[str, object]) -> dict[str, object]:
    """The `cluster` output of a stack of HDInsight's shape: YARN, and blobs that the head serves."""
    return {
        **cluster_document,
        "spark": "3.5",
        "storage": {
            "kind": "blob",
            "uri": "wasb://data@account1.blob.core.windows.net",
            "key": "bm90LXRvLWJlLXNlZW4=",
            "server": "10.9.8.10",
        },
        "scheduler": {
            "kind": "yarn",
            "resource_manager": "http://head:8088",
            "container_memory_mb": 2048,
            "container_cores": 2,
        },
    }


@pytest.fixture
def yarn_cluster(yarn_document: dict[str, object]) -> Cluster:
    """The cluster of this document."""
    return cluster_of(yarn_document)

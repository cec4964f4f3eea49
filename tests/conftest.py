"""Fixtures shared by the whole tree: a cluster as the contract has it."""

from __future__ import annotations

import signal

import pytest

from bootstrap.cluster import Cluster

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell gives that to what it starts in the background, and every child inherits it: Ctrl-C could not
    # be tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPrp3Lx5NlHZQwBfwfmPYgpNKvJ6XhbvZQO1oQO3HZ0N"


@pytest.fixture
def cluster_document() -> dict[str, object]:
    """The `cluster` output of a stack with a head and two workers."""
    return {
        "version": 1,
        "stack": "dev",
        "provider": "local",
        "head": {"name": "head", "address": "10.9.8.10", "host_key": HOST_KEY},
        "workers": [
            {"name": "w1", "address": "10.9.8.11", "host_key": HOST_KEY},
            {"name": "w2", "address": "10.9.8.12", "host_key": HOST_KEY},
        ],
        "ssh": {"user": "ops", "private_key": "-----PRIVATE-----"},
        "spark_master": "spark://head:7077",
        "spark_secret": "not-to-be-seen",
        "shared_storage": "hdfs://head:9000",
        "worker": {"cores": 2, "memory_mb": 2048, "gpus": 0},
    }


@pytest.fixture
def cluster(cluster_document: dict[str, object]) -> Cluster:
    """That document, read."""
    return Cluster.model_validate(cluster_document)


@pytest.fixture
def yarn_document(cluster_document: dict[str, object]) -> dict[str, object]:
    """The `cluster` output of a stack of HDInsight's shape: YARN, and blobs that the head serves."""
    return {
        **cluster_document,
        "spark_master": "yarn",
        "shared_storage": "wasb://data@account1.blob.core.windows.net",
        "blob": {"account": "account1", "key": "bm90LXRvLWJlLXNlZW4=", "server": "10.9.8.10"},
        "yarn": {
            "resource_manager": "http://head:8088",
            "container_memory_mb": 2048,
            "container_cores": 2,
        },
    }


@pytest.fixture
def yarn_cluster(yarn_document: dict[str, object]) -> Cluster:
    """That document, read."""
    return Cluster.model_validate(yarn_document)

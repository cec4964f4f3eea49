"""Fixtures: an HDInsight cluster as its stack describes it, and the stand-in for Azure that it lives in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bootstrap.clouds import azure
from bootstrap.cluster import Blob, ClusterDocument, HdInsight, Yarn
from tests.cloud import arm as cloud
from tests.cloud.arm import Arm

ACCOUNT = "caffewest"
STORAGE = f"wasbs://cluster@{ACCOUNT}.blob.core.windows.net"


@pytest.fixture
def hdinsight(cluster_document: dict[str, object]) -> ClusterDocument:
    """No worker is named, no host key known."""
    return ClusterDocument.model_validate(
        {
            **cluster_document,
            "stack": "azure-west-europe",
            "provider": "azure",
            "head": {"name": "headnode0", "address": f"{cloud.NAME}-ssh.azurehdinsight.net"},
            "scheduler": Yarn(
                resource_manager="http://headnodehost:8088", container_memory_mb=2048, container_cores=2
            ),
            "storage": Blob(uri=STORAGE),
            "members": HdInsight(
                subscription=cloud.SUBSCRIPTION,
                resource_group=cloud.GROUP,
                name=cloud.NAME,
                region="westeurope",
                artifacts=f"wasbs://artifacts@{ACCOUNT}.blob.core.windows.net",
                worker_count=3,
            ),
            "ssh": {"user": "ops", "private_key": "-----PRIVATE-----", "jump": True},
        }
    )


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Arm]:
    """Azure's management interface, simulated; every client goes there."""
    with cloud.arm_server() as server:
        monkeypatch.setenv(azure.ENDPOINT, server.url)
        # the clients' own pauses between tries, for programs that have all day
        monkeypatch.setattr(azure, "RETRY", {**azure.RETRY, "retry_backoff_factor": 0.01})
        monkeypatch.setattr(azure, "FAIL_FAST", {**azure.FAIL_FAST, "retry_backoff_factor": 0.01})
        yield server

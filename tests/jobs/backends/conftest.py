"""A cluster with Livy, for the tests of its backend."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster, ClusterDocument
from bootstrap.errors import Unreachable
from jobs.backends.livy import LivyBackend
from jobs.backends.registry import LIVY, Backends
from jobs.run.run import run_job
from tests.jobs.backends.livy_server import PASSWORD, URI, LivyServer, Memory
from tests.jobs.specs import mnist_spec


class World:
    def __init__(self, tmp_path: Path, cluster: ClusterDocument, storage: Memory, livy: LivyServer) -> None:
        self.results, self.cluster, self.storage, self.livy = tmp_path, cluster, storage, livy
        self.spec = mnist_spec()
        self.out = io.StringIO()

    def run(self) -> Any:
        console = Console(file=self.out, width=200)
        return run_job(LivyBackend(self.cluster, 0.01), self.spec, "caffe-1", console, self.results)

    def backends(self) -> Backends:
        """Return the backends as another process would, on a machine without SSH access to the heads."""

        def resolve() -> Cluster:
            raise Unreachable("hn0", "SSH does not answer", "Run `fab doctor`.")

        made = Backends(self.cluster, resolve)
        made._made[LIVY] = LivyBackend(self.cluster, 0.01)
        return made

    def left_running(self) -> str:
        """Submit a job that nobody follows; returns its id."""
        self.livy.states = ["running"]
        return LivyBackend(self.cluster, 0.01).launch(self.spec, "caffe-1", lambda _: None).id


@pytest.fixture
def world(tmp_path: Path, yarn_document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    storage = Memory()
    livy = LivyServer(storage)
    document = {
        **yarn_document,
        "provider": "azure",
        "storage": {"kind": "blob", "uri": URI, "key": "a2V5"},
        "members": {
            "kind": "hdinsight",
            "subscription": "s",
            "resource_group": "g",
            "name": "mycluster",
            "region": "westeurope",
            "artifacts": "wasbs://artifacts@account1.blob.core.windows.net",
            "worker_count": 3,
            "gateway": livy.url,
            "gateway_user": "admin",
            "gateway_password": PASSWORD,
        },
    }

    class Blobs:
        @staticmethod
        def of(_: ClusterDocument) -> Memory:
            return storage

    monkeypatch.setattr("bootstrap.storage.blob.Blobs", Blobs)
    yield World(tmp_path, ClusterDocument.model_validate(document), storage, livy)
    livy.server.shutdown()

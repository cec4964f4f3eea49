"""`pulumi destroy` leaves nothing of the stack."""

from __future__ import annotations

import subprocess

import pytest

from tests.end_to_end.conftest import Said, Stack

pytestmark = pytest.mark.cluster


def listed(*command: str) -> str:
    return subprocess.run(["podman", *command], stdout=subprocess.PIPE, text=True, check=True).stdout


def test_destroy_leaves_no_container_network_volume_or_process(stack: Stack, up: Said) -> None:
    volumes = listed("volume", "ls", "-q")
    cluster = stack.cluster()
    said = stack.pulumi("destroy", "--yes", "--skip-preview")
    assert said.code == 0, said.output
    assert f"caffe-spark-{stack.name}-" not in listed("ps", "-a", "--format", "{{.Names}}")
    assert f"caffe-spark-{stack.name}" not in listed("network", "ls", "--format", "{{.Name}}")
    assert listed("volume", "ls", "-q") == volumes
    processes = subprocess.run(["ps", "-eo", "args"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert f"caffe-spark-{stack.name}-" not in processes
    routes = subprocess.run(["ip", "route"], stdout=subprocess.PIPE, text=True, check=False).stdout
    assert cluster.head.address.rpartition(".")[0] not in routes
    assert "localhost/caffe-spark-node" in listed("images", "--format", "{{.Repository}}"), (
        "kept for the next up"
    )


def test_destroying_again_does_nothing(stack: Stack, up: Said) -> None:
    said = stack.pulumi("destroy", "--yes", "--skip-preview")
    assert said.code == 0, said.output

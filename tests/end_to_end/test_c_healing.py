"""Recovery by rerunning the same commands: a lost worker, a damaged artefact, a lost framework."""

from __future__ import annotations

import subprocess

import pytest

from tests.end_to_end.conftest import Said, Stack

pytestmark = pytest.mark.cluster

HDFS = "su -s /bin/sh spark -c '/opt/hadoop/bin/hdfs dfs {}'"


def started(stack: Stack, node: str) -> str:
    """Return the creation time of the node's container."""
    return subprocess.run(
        ["podman", "inspect", "-f", "{{.Created}}", f"caffe-spark-{stack.name}-{node}"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def test_a_damaged_artefact_is_refused_named_and_replaced(stack: Stack, trained: Said) -> None:
    """Corrupt the copy in shared storage; a node without Caffe must not install it."""
    key = stack.on("head", "basename $(readlink /opt/caffe)").strip()
    where = f"/frameworks/caffe/{key}"
    name = stack.on("head", HDFS.format(f"-ls -C {where}")).split()
    tarball = next(path for path in name if path.endswith(".tar.gz"))
    stack.on(
        "head",
        f"echo spoilt > /tmp/spoilt; chmod 644 /tmp/spoilt; {HDFS.format(f'-put -f /tmp/spoilt {tarball}')}",
    )
    stack.on("w1", "rm -rf /opt/caffe /opt/caffe-versions")
    said = stack.fab("build-headnode", timeout=2400)
    assert said.code == 0, said.output
    assert "sha256" in said.output
    assert key in said.output
    assert stack.on("w1", "readlink /opt/caffe").strip().endswith(key)


def test_a_cluster_that_lost_its_framework_is_fed_from_the_operators_cache(
    stack: Stack, trained: Said
) -> None:
    key = stack.on("head", "basename $(readlink /opt/caffe)").strip()
    for node in ("head", "w1", "w2"):
        stack.on(node, "rm -rf /opt/caffe /opt/caffe-versions /var/lib/caffe-spark/build")
    stack.on("head", HDFS.format("-rm -r -skipTrash /frameworks/caffe"))
    said = stack.fab("build-headnode", timeout=2400)
    assert said.code == 0, said.output
    assert "cache" in said.output
    assert stack.on("head", "find /var/lib/caffe-spark/build -name log") == "", "something was compiled"
    assert {stack.on(node, "basename $(readlink /opt/caffe)").strip() for node in ("head", "w1", "w2")} == {
        key
    }


def test_up_replaces_only_the_worker_that_died_and_jobs_run_again(stack: Stack, trained: Said) -> None:
    before = {node: started(stack, node) for node in ("head", "w1", "w2")}
    subprocess.run(["podman", "kill", f"caffe-spark-{stack.name}-w2"], check=True, capture_output=True)
    said = stack.fab("submit-mnist", "--iterations", "20")
    assert said.code == 1
    assert "w2" in said.output
    assert "pulumi up" in said.output

    assert stack.up().code == 0
    after = {node: started(stack, node) for node in ("head", "w1", "w2")}
    assert {node for node in before if before[node] != after[node]} == {"w2"}

    again = stack.fab("submit-mnist", "--iterations", "20", timeout=1200)
    assert again.code == 0, again.output

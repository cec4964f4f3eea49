"""Refusals: one line with the input, the cause and the next command; nothing is changed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.conftest import ROOT, Said, Stack

pytestmark = pytest.mark.cluster

HDFS = "/opt/hadoop/bin/hdfs"
SPECS = ROOT / "jobs" / "specs"


def as_user(user: str, command: str) -> str:
    return f"su -s /bin/sh {user} -c '{command}'"


def jobs_in_storage(stack: Stack) -> str:
    return stack.on("head", as_user("spark", f"{HDFS} dfs -ls /jobs"))


def assert_refused(said: Said, *words: str) -> None:
    """Assert a failure in one line with these words, without a traceback."""
    assert said.code == 1, said.output
    assert "Traceback" not in said.output
    flat = " ".join(said.output.split())
    for word in words:
        assert word in flat, f"{word!r} is not in: {flat}"


@contextmanager
def unit_stopped(stack: Stack, node: str, unit: str) -> Iterator[None]:
    stack.on(node, f"systemctl stop {unit}")
    try:
        yield
    finally:
        stack.on(node, f"systemctl start {unit}")


@pytest.fixture
def spec_folder(tmp_path: Path) -> Path:
    """A copy of the job specifications, to be corrupted."""
    shutil.copytree(SPECS, tmp_path / "specs")
    return tmp_path / "specs"


def test_an_unknown_stack_is_named_with_those_that_exist(stack: Stack, up: Said) -> None:
    assert_refused(
        stack.run("fab", "bootstrap", "--stack", "nosuch"), "stack 'nosuch'", stack.name, "pulumi up --stack"
    )


def test_a_stack_that_is_not_up_has_no_cluster(stack: Stack, up: Said) -> None:
    empty = Stack(stack.folder, stack.env, name="e2e-empty")
    empty.config.write_text("config: {}\n")
    assert empty.pulumi("stack", "init").code == 0
    try:
        assert_refused(
            empty.fab("bootstrap"), "stack 'e2e-empty'", "no output `cluster`", "pulumi up --stack e2e-empty"
        )
    finally:
        empty.pulumi("stack", "rm", "--yes")
        empty.config.unlink(missing_ok=True)


@pytest.mark.parametrize("task", ["bootstrap", "build-headnode", "submit-mnist"])
def test_a_head_that_does_not_answer_is_named(stack: Stack, trained: Said, task: str) -> None:
    with unit_stopped(stack, "head", "ssh"):
        assert_refused(stack.fab(task), "head", "SSH does not answer", "pulumi up")


@pytest.mark.parametrize("task", ["bootstrap", "build-headnode", "submit-mnist"])
def test_a_worker_that_does_not_answer_is_named(stack: Stack, trained: Said, task: str) -> None:
    with unit_stopped(stack, "w2", "ssh"):
        assert_refused(stack.fab(task), "w2", "SSH does not answer", "pulumi up")


@pytest.fixture
def full_disk(stack: Stack) -> Iterator[str]:
    """Give the working folder of Spark's worker on w1 a file system of its own, without room."""
    name, folder = f"caffe-spark-{stack.name}-w1", "/var/lib/spark/work"
    pid = subprocess.run(
        ["podman", "inspect", "-f", "{{.State.Pid}}", name], capture_output=True, text=True, check=True
    ).stdout.strip()
    inside = ["nsenter", "--target", pid, "--mount"]
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "none", folder]
    subprocess.run([*inside, *mounted], check=True)
    yield folder
    subprocess.run([*inside, "umount", folder], check=True)


def test_a_worker_whose_disk_is_full_ends_a_job_that_may_lose_none_with_that_reason(
    stack: Stack, trained: Said, full_disk: str, spec_folder: Path
) -> None:
    spec = spec_folder / "mnist.yaml"
    spec.write_text(spec.read_text() + "\nonWorkerLost: fail\n")
    said = stack.fab("submit-mnist", "--spec", str(spec), "--iterations", "10")
    assert said.code == 1, said.output
    assert "No space left on device" in said.output
    assert "on w1" in said.output
    doctor = stack.fab("doctor")
    assert doctor.code == 1
    assert full_disk in doctor.output


def test_a_job_is_refused_while_hdfs_is_in_safe_mode(stack: Stack, trained: Said) -> None:
    before = jobs_in_storage(stack)
    stack.on("head", as_user("hdfs", f"{HDFS} dfsadmin -safemode enter"))
    try:
        assert_refused(stack.fab("submit-mnist", "--iterations", "10"), "safe mode", "-safemode leave")
    finally:
        stack.on("head", as_user("hdfs", f"{HDFS} dfsadmin -safemode leave"))
    assert jobs_in_storage(stack) == before


def test_more_executors_than_workers_are_refused(stack: Stack, trained: Said) -> None:
    before = jobs_in_storage(stack)
    assert_refused(stack.fab("submit-mnist", "--executors", "3"), "3", "2 workers")
    assert jobs_in_storage(stack) == before


def test_an_unknown_key_of_a_job_is_refused(stack: Stack, up: Said, spec_folder: Path) -> None:
    spec = spec_folder / "mnist.yaml"
    spec.write_text(spec.read_text() + "\nexecutor: 2\n")
    assert_refused(stack.fab("submit-mnist", "--spec", str(spec)), "mnist.yaml", "executor")


def test_a_broken_prototxt_is_refused_before_training(stack: Stack, trained: Said, spec_folder: Path) -> None:
    net = spec_folder / "lenet_memory_train_test.prototxt"
    net.write_text(net.read_text().replace("num_output: 500", "num_outputs: 500"))
    assert_refused(stack.fab("submit-mnist", "--spec", str(spec_folder / "mnist.yaml")), "num_outputs")


def test_a_missing_lmdb_is_refused_before_training(stack: Stack, trained: Said, spec_folder: Path) -> None:
    net = spec_folder / "lenet_memory_train_test.prototxt"
    net.write_text(net.read_text().replace("/data/mnist/", "/data/nosuch/"))
    spec = spec_folder / "mnist.yaml"
    spec.write_text(spec.read_text().replace("data: mnist\n", ""))
    assert_refused(stack.fab("submit-mnist", "--spec", str(spec)), "/data/nosuch/")


def test_a_cuda_recipe_is_refused_on_a_cluster_without_gpus(stack: Stack, trained: Said) -> None:
    assert_refused(stack.fab("build-headnode", "--recipe", "caffe-cuda"), "caffe-cuda", "GPU")


def test_an_unknown_recipe_is_refused_with_those_that_exist(stack: Stack, trained: Said) -> None:
    assert_refused(stack.fab("build-headnode", "--recipe", "caffe-tpu"), "caffe-tpu", "caffe-cpu")


def test_zero_workers_are_refused_and_the_stack_stays(stack: Stack, trained: Said) -> None:
    kept = stack.config.read_text()
    stack.pulumi("config", "set", "caffe-spark:workers", "0")
    try:
        said = stack.up()
    finally:
        stack.config.write_text(kept)
    assert said.code != 0
    assert "workers" in said.output
    assert "Traceback" not in said.output
    assert stack.on("w2", "hostname").strip() == "w2"

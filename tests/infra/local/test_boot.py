"""Flags that systemd needs on each engine, and the rights that no node has.

That systemd boots with them is shown by test_real_stack.py, on Docker with CAFFE_SPARK_TEST_ENGINE=docker.
"""

from __future__ import annotations

import pytest

from infra.local.boot import CAPABILITIES, boot_flags, docker_flags
from infra.local.engine import Engine
from tests.infra.conftest import FakeEngine

HOSTS = [("1", "cgroupfs"), ("1", "systemd"), ("2", "cgroupfs"), ("2", "systemd")]
NODE = "caffe-spark-dev-w1"


def mounts(flags: tuple[str, ...]) -> list[str]:
    return [flag.partition("=")[2] for flag in flags if flag.startswith("--volume=")]


@pytest.mark.parametrize(("version", "driver"), HOSTS)
def test_no_node_of_docker_is_privileged(version: str, driver: str) -> None:
    flags = docker_flags(NODE, version, driver)
    assert not any(
        flag.startswith(("--privileged", "--device", "--security-opt", "--pid=")) for flag in flags
    )
    assert "--cap-drop=ALL" in flags
    added = {flag.partition("=")[2] for flag in flags if flag.startswith("--cap-add=")}
    assert added == {*CAPABILITIES, "AUDIT_WRITE"}
    assert not added & {"SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "NET_ADMIN", "NET_RAW", "MKNOD"}


@pytest.mark.parametrize(("version", "driver"), HOSTS)
def test_of_this_machine_only_the_nodes_own_control_group_is_writable(version: str, driver: str) -> None:
    flags = docker_flags(NODE, version, driver)
    (parent,) = (flag.partition("=")[2] for flag in flags if flag.startswith("--cgroup-parent="))
    writable = [mount for mount in mounts(flags) if not mount.endswith(":ro")]
    base = "/sys/fs/cgroup" if version == "2" else "/sys/fs/cgroup/systemd"
    own = f"{base}/{parent.lstrip('/')}"
    assert writable == [f"{own}:{own}"]


def test_a_parent_group_has_the_form_that_its_driver_takes() -> None:
    assert "--cgroup-parent=/caffe-spark-dev-w1" in docker_flags(NODE, "2", "cgroupfs")
    assert "--cgroup-parent=caffe_spark_dev_w1.slice" in docker_flags(NODE, "2", "systemd")


def test_two_nodes_do_not_share_a_writable_group() -> None:
    first, second = (
        mounts(docker_flags(f"caffe-spark-dev-{node}", "2", "cgroupfs")) for node in ("w1", "w2")
    )
    assert first != second


def test_java_may_load_libraries_from_tmp() -> None:
    assert "--tmpfs=/tmp:exec" in docker_flags(NODE, "2", "systemd")


def test_podman_has_a_flag_for_it(engine: FakeEngine) -> None:
    assert boot_flags(Engine("podman"), NODE) == ("--systemd=always", "--no-hosts")
    assert engine.calls == []

"""Removal of a worker's identity, under a real `sh`, in a folder that stands for the root."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.images import generalize
from bootstrap.join import program

IDENTITY = (
    "etc/caffe-spark/node",
    "etc/caffe-spark/boot.json",
    "etc/caffe-spark/credentials.json",
    "etc/caffe-spark/cloudwatch-agent.json",
    "etc/systemd/system/caffe-spark-boot.service.d/log.conf",
    "opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d/file_cloudwatch-agent.json",
    "opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.toml",
    "opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.yaml",
    "opt/aws/amazon-cloudwatch-agent/logs/state/_var_log_caffe-spark-boot.log",
    "etc/spark/spark-defaults.conf",
    "etc/hadoop/conf/s3a-keys.xml",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "home/ubuntu/.ssh/authorized_keys",
    "root/.ssh/authorized_keys",
    "root/.bash_history",
    "var/lib/spark/.aws/credentials",
    "var/lib/spark/.python_history",
    "tmp/written-by-a-job/part-0",
    "var/tmp/written-by-a-job",
    "run/caffe-spark-notice.json",
    "usr/local/lib/caffe-spark/bootstrap/join/on_node/boot.py",
    "etc/systemd/system/caffe-spark-boot.service",
    "etc/systemd/system/caffe-spark-watch.service",
    "var/lib/caffe-spark/stamps/spark-worker.service",
    "var/lib/spark/work/app-1/stderr",
    "var/log/caffe-spark-boot.log",
    "var/log/journal/0123/system.journal",
)
KEPT = (
    "opt/caffe-versions/0123/.sha256",
    "opt/spark-versions/4.3.0/.sha256",
    "opt/caffe-spark/venv/pyvenv.cfg",
    "opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent",
    "opt/aws/amazon-cloudwatch-agent/etc/common-config.toml",
    "etc/systemd/system/spark-worker.service",
    "etc/systemd/system/caffe-spark-firewall.service",
    "etc/ssh/sshd_config",
    "etc/machine-id",
)


@dataclass
class Machine:
    """A worker's files, and programs that write down how they were called."""

    root: Path
    commands: Path

    def put(self, name: str, content: str) -> None:
        file = self.commands / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.root}/calls\n{content}\n')
        file.chmod(0o755)

    def run(self) -> subprocess.CompletedProcess[str]:
        # The script's own PATH would find this machine's programs.
        text = generalize.script(str(self.root)).replace("PATH=/usr/local/sbin", f"PATH={self.commands}")
        assert str(self.commands) in text
        return subprocess.run(["sh", "-s"], input=text, capture_output=True, text=True, check=False)

    @property
    def calls(self) -> list[str]:
        file = self.root / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def has(self, path: str) -> bool:
        return (self.root / path).exists()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    root, commands = tmp_path / "root", tmp_path / "commands"
    commands.mkdir()
    for path in (*IDENTITY, *KEPT):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("content\n")
    made = Machine(root, commands)
    for name in ("systemctl", "pkill", "journalctl", "cloud-init", "sync"):
        made.put(name, "exit 0")
    for name in ("pgrep", "mountpoint"):
        made.put(name, "exit 1")
    return made


def test_what_tells_the_machine_is_gone_and_what_the_next_one_saves_stays(machine: Machine) -> None:
    done = machine.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert [path for path in IDENTITY if machine.has(path)] == []
    assert [path for path in KEPT if not machine.has(path)] == []
    assert (machine.root / "etc/machine-id").read_text() == "", "systemd makes another one"
    assert machine.has("var/lib/spark/work"), "folders stay, with their owners"


def test_scratch_files_under_the_instance_store_go_too(machine: Machine) -> None:
    """The store is not in the image; what jobs wrote to the root volume before it was mounted would be."""
    work = machine.root / "var/lib/spark/work"
    machine.put("mountpoint", f'[ "$2" = {work} ]')
    machine.put("umount", f"mkdir {work}/beneath")
    done = machine.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert f"umount --lazy {work}" in machine.calls
    assert list(work.iterdir()) == []


def test_no_unit_starts_before_the_user_data_have_run(machine: Machine) -> None:
    machine.run()
    for unit in ("spark-worker", "caffe-spark-firewall", "caffe-spark-boot", "caffe-spark-watch"):
        assert f"systemctl disable --quiet {unit}.service" in machine.calls


def test_an_agent_that_is_not_the_stacks_is_left_alone(machine: Machine) -> None:
    (machine.root / "etc/caffe-spark/cloudwatch-agent.json").unlink()
    machine.run()
    assert machine.has("opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.toml")
    assert not [call for call in machine.calls if "amazon-cloudwatch-agent" in call]


def test_the_watch_ends_before_the_worker_and_the_packet_filter_does_not(machine: Machine) -> None:
    machine.run()
    stops = [call for call in machine.calls if call.startswith("systemctl stop")]
    assert stops[:2] == [
        "systemctl stop caffe-spark-watch.service",
        "systemctl stop spark-worker.service",
    ]
    assert not [call for call in stops if "firewall" in call]


def test_cloud_init_forgets_the_boot_last(machine: Machine) -> None:
    machine.run()
    assert machine.calls[-2:] == ["cloud-init clean --logs", "sync "]


def test_a_node_with_executors_is_left_alone(machine: Machine) -> None:
    machine.put("pgrep", "exit 0")
    done = machine.run()
    assert done.returncode == generalize.BUSY
    assert "a job has executors" in done.stderr
    assert all(machine.has(path) for path in IDENTITY)
    assert not [call for call in machine.calls if call.startswith(("systemctl", "cloud-init"))]


def test_a_node_that_another_command_works_on_is_left_alone(machine: Machine) -> None:
    lock = machine.root / paths.RUN.removeprefix("/") / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        subprocess.run(["flock", "-n", str(held.fileno())], check=True, pass_fds=[held.fileno()])
        done = machine.run()
    assert done.returncode == generalize.BUSY
    assert all(machine.has(path) for path in IDENTITY)


def test_a_machine_without_cloud_init_is_left_alone(machine: Machine) -> None:
    (machine.commands / "cloud-init").unlink()
    if any((Path(folder) / "cloud-init").exists() for folder in os.defpath.split(":")):
        pytest.skip("this machine has cloud-init itself")
    done = machine.run()
    assert done.returncode == generalize.UNSUITABLE
    assert all(machine.has(path) for path in IDENTITY)


def test_the_programs_folder_is_that_of_the_user_data() -> None:
    assert generalize.LIBRARY == program.LIBRARY


def test_what_a_worker_has_is_read_of_its_output() -> None:
    said = "distribution=ubuntu-22.04\nframework=0123abcd\nnvidia=yes\n"
    assert generalize.found(said) == generalize.Found(False, "ubuntu-22.04", "0123abcd", True)
    assert generalize.found(said + "busy=yes\n").busy
    assert generalize.found("framework=\n").framework == ""

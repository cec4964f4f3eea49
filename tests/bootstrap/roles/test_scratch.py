"""Spark's scratch folders on the instance store: the program, with stand-ins for root's rights and disks."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.engine.role import load_role
from tests.bootstrap.roles.conftest import Compile

STORE = "Amazon EC2 NVMe Instance Storage"
EBS = "Amazon Elastic Block Store"
FOLDERS = ("local", "work", "tmp")
RAID = "mdadm --create {devices}/md/caffe-spark --run --quiet --level=0 --raid-devices=2"
# `blkid` and `mount` answer from, and write to, what a machine would have.
PROGRAMS = {
    "blkid": """
case $1 in
-L) cat "$STATE/labelled" 2>/dev/null || exit 2 ;;
-p) [ -e "$STATE/used-${2##*/}" ] || exit 2 ;;
esac
""",
    "mkfs.ext4": 'for last; do :; done; [ ! -e "$STATE/broken" ] || exit 1; echo "$last" >"$STATE/labelled"',
    "mount": """
case $1 in --bind) from=$2 to=$3 ;; *) from=$3 to=$4 ;; esac
echo "$from $to ext4 rw 0 0" >>"$STATE/mounts"
""",
    "chown": "",
    "systemctl": '[ -e "$STATE/spark-runs" ]',
    "sleep": """
[ ! -e "$STATE/image-is-late" ] || echo "/dev/vg $STATE/dlami/nvme ext4 rw 0 0" >>"$STATE/mounts"
""",
    "mdadm": '[ "$1" != --assemble ] || [ ! -e "$STATE/raid" ] || cp "$STATE/raid" "$STATE/labelled"',
}


@dataclass
class Machine:
    """Disks, mounts and programs of a machine, and what was run there."""

    state: Path
    compiled: Compile
    programs: dict[str, str] = field(default_factory=lambda: dict(PROGRAMS))

    def disk(self, name: str, model: str = STORE) -> None:
        block = self.state / "blocks" / name
        (block / "device").mkdir(parents=True)
        (block / "holders").mkdir()
        (block / "device" / "model").write_text(f"{model:40}\n")

    def has(self, name: str, text: str = "") -> None:
        (self.state / name).write_text(text)

    def run(self, verb: str = "mount", **given: object) -> subprocess.CompletedProcess[str]:
        at = {
            "spark_state": self.state / "spark",
            "store": self.state / "store",
            "image_folder": self.state / "dlami",
            "blocks": self.state / "blocks",
            "devices": self.state / "dev",
            "mounts": self.state / "mounts",
            "kept": self.state / "kept",
            **given,
        }
        text = self.compiled("scratch", "w1", **{key: str(value) for key, value in at.items()})
        for name, body in self.programs.items():
            file = self.state / "bin" / name
            file.write_text(f'#!/bin/sh\n[ "{name}" = sleep ] || echo "{name} $*" >>"$STATE/log"\n{body}\n')
            file.chmod(0o755)
        return subprocess.run(
            ["sh", "-s", verb],
            input=text.template("scratch.sh.j2"),
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def env(self) -> Mapping[str, str]:
        return {"PATH": f"{self.state}/bin:{self.state}/tools", "STATE": str(self.state)}

    def log(self, *programs: str) -> list[str]:
        file = self.state / "log"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.split(" ")[0] in programs]

    @property
    def bound(self) -> dict[str, str]:
        """Spark's folders → what is mounted there."""
        pairs = [line.split(" ")[:2] for line in (self.state / "mounts").read_text().splitlines()]
        return {
            to.rpartition("/")[2]: source for source, to in pairs if to.startswith(f"{self.state}/spark/")
        }

    def empties(self) -> None:
        """Stop and start: nothing is mounted, and the store is empty."""
        self.has("mounts")
        for name in ("labelled", "log"):
            (self.state / name).unlink(missing_ok=True)


@pytest.fixture
def machine(tmp_path: Path, compile_for: Compile) -> Machine:
    for name in ("bin", "blocks", "tools"):
        (tmp_path / name).mkdir()
    # The system's own programs, but for those that touch disks: a stand-in that is missing is found missing.
    for name in ("grep", "cat", "ls", "mkdir", "chmod", "sh", "cp"):
        found = subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, text=True, check=True)
        (tmp_path / "tools" / name).symlink_to(found.stdout.strip())
    made = Machine(tmp_path, compile_for)
    made.has("mounts", "/dev/root / ext4 rw 0 0\n")
    return made


def test_a_machine_without_an_instance_store_keeps_its_root_volume(machine: Machine) -> None:
    machine.disk("nvme0n1", EBS)
    done = machine.run()
    assert (done.returncode, done.stdout.strip()) == (0, "the machine has no instance store")
    assert machine.log("mkfs.ext4", "mount", "mdadm") == []
    assert machine.run("check").returncode == 0


def test_a_single_disk_is_formatted_and_has_sparks_folders(machine: Machine) -> None:
    machine.disk("nvme0n1", EBS)
    machine.disk("nvme1n1")
    done = machine.run()
    assert done.returncode == 0, done.stderr
    [made] = machine.log("mkfs.ext4")
    assert made.endswith(f"-L caffe-spark -E nodiscard {machine.state}/dev/nvme1n1")
    assert machine.bound == {name: f"{machine.state}/store/{name}" for name in FOLDERS}
    assert (machine.state / "store" / "local").stat().st_mode & 0o777 == 0o750
    assert machine.log("chown") == [
        f"chown {paths.JOB_USER}: {machine.state}/store/{name}" for name in FOLDERS
    ]
    assert machine.run("check").returncode == 0


def test_several_disks_are_one_raid(machine: Machine) -> None:
    machine.disk("nvme1n1")
    machine.disk("nvme2n1")
    machine.run()
    create = machine.log("mdadm")[-1]
    devices = f"{machine.state}/dev"
    assert create == f"{RAID.format(devices=devices)} {devices}/nvme1n1 {devices}/nvme2n1"
    assert machine.log("mkfs.ext4")[0].endswith(f"{devices}/md/caffe-spark")


def test_without_mdadm_one_disk_is_used_and_that_is_said(machine: Machine) -> None:
    del machine.programs["mdadm"]
    machine.disk("nvme1n1")
    machine.disk("nvme2n1")
    done = machine.run()
    assert "of 2 disks only" in done.stderr
    assert machine.log("mkfs.ext4")[0].endswith("/nvme1n1")


def test_it_changes_nothing_the_second_time(machine: Machine) -> None:
    machine.disk("nvme1n1")
    machine.run()
    before = machine.log(*PROGRAMS)
    assert machine.run().returncode == 0
    assert machine.log(*PROGRAMS) == before


def test_after_a_reboot_the_file_system_of_before_is_mounted(machine: Machine) -> None:
    machine.disk("nvme1n1")
    machine.run()
    machine.has("mounts")
    machine.run()
    assert len(machine.log("mkfs.ext4")) == 1
    assert set(machine.bound) == set(FOLDERS)


def test_after_a_reboot_a_raid_that_nobody_assembled_is_assembled(machine: Machine) -> None:
    for name in ("nvme1n1", "nvme2n1"):
        machine.disk(name)
        machine.has(f"used-{name}")
    machine.has("raid", f"{machine.state}/dev/md/caffe-spark\n")
    machine.run()
    assert machine.log("mkfs.ext4") == []
    assert set(machine.bound) == set(FOLDERS)


def test_after_a_stop_the_empty_store_is_formatted_again(machine: Machine) -> None:
    machine.disk("nvme1n1")
    machine.run()
    machine.empties()
    machine.run()
    assert len(machine.log("mkfs.ext4")) == 1
    assert set(machine.bound) == set(FOLDERS)


@pytest.mark.parametrize("use", ["signature", "holder", "partition"])
def test_a_disk_that_somebody_uses_is_left_alone(use: str, machine: Machine) -> None:
    machine.disk("nvme1n1")
    if use == "signature":
        machine.has("used-nvme1n1")
    else:
        (machine.state / "blocks/nvme1n1" / ("holders/dm-0" if use == "holder" else "nvme1n1p1")).mkdir()
    done = machine.run()
    assert done.returncode == 0
    assert "something else uses the instance store" in done.stderr
    assert machine.log("mkfs.ext4", "mount") == []
    check = machine.run("check")
    assert check.returncode == 1
    assert "Spark's scratch folders are on its root volume" in check.stdout


def test_a_disk_that_cannot_be_formatted_leaves_the_worker_its_root_volume(machine: Machine) -> None:
    machine.disk("nvme1n1")
    machine.has("broken")
    done = machine.run()
    assert (done.returncode, done.stdout.strip()) == (0, "Spark's scratch folders stay on the root volume")
    assert machine.bound == {}


@pytest.mark.parametrize("late", [False, True])
def test_the_volume_that_an_image_has_made_of_the_store_is_used(late: bool, machine: Machine) -> None:
    (machine.state / "dlami" / "nvme").mkdir(parents=True)
    machine.disk("nvme1n1")
    machine.has("used-nvme1n1")
    if late:
        machine.has("image-is-late")
    else:
        machine.has("mounts", f"/dev/vg {machine.state}/dlami/nvme ext4 rw 0 0\n")
    assert machine.run().returncode == 0
    assert machine.log("mkfs.ext4") == []
    assert machine.bound == {name: f"{machine.state}/dlami/nvme/caffe-spark/{name}" for name in FOLDERS}


def test_a_worker_that_runs_keeps_its_folders_until_it_boots(machine: Machine) -> None:
    machine.disk("nvme1n1")
    machine.has("spark-runs")
    assert "at the next boot" in machine.run().stdout
    assert machine.log("mkfs.ext4", "mount") == []
    assert machine.run("check").returncode == 0


def test_it_is_done_before_sparks_worker_starts(compile_for: Compile) -> None:
    unit = compile_for("scratch", "w1").template("caffe-spark-scratch.service.j2")
    assert "Before=spark-worker.service" in unit
    assert "RemainAfterExit=yes" in unit
    assert compile_for("scratch", "head").commands == {}


def test_the_folders_are_those_of_spark(compile_for: Compile) -> None:
    scratch, spark = compile_for("scratch", "w1").variables, compile_for("spark", "w1").variables
    assert scratch["spark_state"] == spark["spark_state"]
    assert f"{scratch['spark_state']}/tmp" == paths.SPARK_TMP


def test_only_clusters_whose_workers_may_have_a_store_have_the_role(cluster: Cluster) -> None:
    assert "scratch" not in cluster.roles
    worker = cluster.worker.model_copy(update={"instance_store": True})
    roles = cluster.model_copy(update={"worker": worker}).roles
    assert roles.index("common") < roles.index("scratch") < roles.index("spark_standalone")
    # Roles run side by side: Spark's waits for the folders.
    assert load_role("scratch").requires == ["common"]
    assert "scratch" in load_role("spark").requires

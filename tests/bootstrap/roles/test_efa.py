"""Proof of EFA on a worker: the program, with stand-ins for libfabric, root's rights and NCCL's plug-in."""

from __future__ import annotations

import ctypes.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.engine.role import load_role
from tests.bootstrap.roles.conftest import Compiled

DEVICES = 4
RECIPE = Path(__file__).resolve().parents[3] / "bootstrap" / "recipes" / "caffe" / "cuda-13.txt"
NOTHING = "fi_getinfo: -61 (No data available)"
RUNUSER = """
[ "$1 $2 $3" = "-u spark --" ] || exit 9
[ "$MAY_LOCK" = all ] || exit 8
shift 3
exec "$@"
"""


def devices(number: int) -> str:
    """What `fi_info -p efa` prints: each device has several domains and fabrics."""
    return "".join(
        f"provider: efa\n    fabric: {fabric}\n    domain: rdmap{79 + place}s0-{kind}\n    version: 200.10\n"
        f"    type: FI_EP_{kind.upper()}\n    protocol: FI_PROTO_EFA\n"
        for place in range(number)
        for fabric, kind in (("efa", "rdm"), ("efa-direct", "rdm"), ("efa", "dgrm"))
    )


@dataclass
class Worker:
    """A folder in place of a worker, and what its image and machine have."""

    at: Path
    cluster: Cluster

    def has(self, name: str, text: str, mode: int = 0o644) -> Path:
        file = self.at / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def finds(self, said: str, status: int = 0) -> None:
        answer = self.has("answer", said)
        asked = f'[ "$1 $2" = "-p efa" ] || exit 7\ncat {answer}\nexit {status}\n'
        self.has("efa/bin/fi_info", f"#!/bin/sh\n{asked}", 0o755)

    def has_plugin(self, name: str = "ofi-nccl/lib/x86_64-linux-gnu/libnccl-net-ofi.so") -> Path:
        """A library of this machine's, which loads."""
        library = ctypes.util.find_library("c")
        found = subprocess.run(
            ["sh", "-c", f"ldconfig -p | grep -F '{library} ' | head -n 1 | sed 's/.*=> //'"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        file = self.at / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(found, file)
        return file

    @property
    def compiled(self) -> Compiled:
        given = {
            "program_file": str(self.at / "program"),
            "libfabric": str(self.at / "efa"),
            "plugin_folders": f"{self.at}/missing {self.at}/ofi-nccl {self.at}/aws-ofi-nccl",
            "settings": str(self.at / "etc" / "efa"),
            "libraries": str(self.at / "libraries"),
            "proven": str(self.at / "run" / "efa"),
            "processes": str(self.at / "proc"),
            # What only root may do.
            "as_its_worker": "export MAY_LOCK=all",
        }
        return Compiled("efa", self.cluster, self.cluster.node("w1"), given)

    def run(self, verb: str, *, write: bool = True) -> subprocess.CompletedProcess[str]:
        if write:
            text = self.compiled.template("efa.sh.j2").replace("/usr/bin/python3", sys.executable)
            self.has("program", text, 0o755)
        return subprocess.run(
            ["sh", str(self.at / "program"), verb],
            env={"PATH": f"{self.at}/bin:/usr/bin:/bin", "HOME": str(self.at)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def settings(self) -> dict[str, str]:
        """Variables that a shell has after reading the settings."""
        shown = subprocess.run(
            ["env", "-i", "sh", "-c", f". {self.at}/etc/efa && env"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return dict(line.split("=", 1) for line in shown.splitlines())


@pytest.fixture
def cluster_with_efa(aws_cluster: Cluster) -> Cluster:
    shape = aws_cluster.worker.model_copy(update={"efa": DEVICES, "gpus": 8})
    return aws_cluster.model_copy(update={"worker": shape})


@pytest.fixture
def worker(tmp_path: Path, cluster_with_efa: Cluster) -> Worker:
    made = Worker(tmp_path, cluster_with_efa)
    made.has("bin/runuser", f"#!/bin/sh\n{RUNUSER}", 0o755)
    made.has("bin/systemctl", "#!/bin/sh\necho 0\n", 0o755)
    made.finds(devices(DEVICES))
    made.has_plugin()
    return made


def test_a_worker_with_all_devices_and_the_plugin_is_proven_and_nccl_has_no_other_way(worker: Worker) -> None:
    done = worker.run("prove")
    assert done.returncode == 0, done.stderr
    plugin = f"{worker.at}/ofi-nccl/lib/x86_64-linux-gnu/libnccl-net-ofi.so"
    assert done.stdout.strip() == f"{DEVICES} EFA devices; NCCL uses them by {plugin}"
    found = worker.settings
    assert (found["NCCL_NET"], found["NCCL_NET_PLUGIN"], found["FI_PROVIDER"]) == ("Libfabric", plugin, "efa")
    assert found["NCCL_DEBUG"] == "WARN"
    assert found["LD_LIBRARY_PATH"] == f"{worker.at}/libraries:{worker.at}/efa/lib"
    assert worker.run("proven", write=False).returncode == 0


def test_cudas_runtime_is_the_frameworks_and_none_of_its_other_libraries_is_beside_it(worker: Worker) -> None:
    assert worker.run("prove").returncode == 0
    (link,) = (worker.at / "libraries").iterdir()
    assert (link.name, str(link.readlink())) == ("libcudart.so", f"{paths.CAFFE_HOME}/lib/libcudart.so.13")
    # The name by which the framework has it follows CUDA's major version.
    assert re.search(r"^nvidia-cuda-runtime==13\.", RECIPE.read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "name", ["ofi-nccl/lib64/libnccl-net-ofi.so", "aws-ofi-nccl/lib/libnccl-net.so"], ids=["lib64", "older"]
)
def test_the_plugin_is_found_where_other_versions_of_the_installer_put_it(worker: Worker, name: str) -> None:
    shutil.rmtree(worker.at / "ofi-nccl")
    file = worker.has_plugin(name)
    assert worker.run("prove").returncode == 0
    assert worker.settings["NCCL_NET_PLUGIN"] == str(file)


def without_software(worker: Worker) -> None:
    shutil.rmtree(worker.at / "efa")


def without_devices(worker: Worker) -> None:
    worker.finds(NOTHING, 61)


def with_fewer_devices(worker: Worker) -> None:
    worker.finds(devices(DEVICES - 1))


def with_unknown_words(worker: Worker) -> None:
    worker.finds("nothing that names a device\n")


def without_plugin(worker: Worker) -> None:
    shutil.rmtree(worker.at / "ofi-nccl")


def with_a_broken_plugin(worker: Worker) -> None:
    worker.has("ofi-nccl/lib/x86_64-linux-gnu/libnccl-net-ofi.so", "no library")


def with_limited_memory(worker: Worker) -> None:
    worker.has("bin/runuser", "#!/bin/sh\necho 'Unable to allocate memory' >&2; exit 1\n", 0o755)


@pytest.mark.parametrize(
    ("lacks", "why"),
    [
        (without_software, "there is no {at}/efa/bin/fi_info: the image has no EFA software"),
        (without_devices, f"fi_info -p efa finds no device, so that this machine .*: {re.escape(NOTHING)}"),
        (with_fewer_devices, "fi_info -p efa finds 3 devices, and this stack's workers have 4"),
        (with_unknown_words, "fi_info -p efa finds 0 devices"),
        (without_plugin, "no libnccl-net-ofi.so in .*: the image has no aws-ofi-nccl"),
        (
            with_a_broken_plugin,
            "NCCL's plug-in .*libnccl-net-ofi.so does not load: .*(invalid ELF|too short)",
        ),
        (with_limited_memory, "fi_info -p efa finds no device, .*: Unable to allocate memory"),
    ],
)
def test_a_worker_that_lacks_anything_says_what_and_has_no_settings(
    worker: Worker, lacks: object, why: str
) -> None:
    assert callable(lacks)
    lacks(worker)
    done = worker.run("prove")
    assert done.returncode == 1
    assert re.search(rf"^EFA \(efa: true\): {why.format(at=worker.at)}", done.stderr), done.stderr
    assert not (worker.at / "etc" / "efa").exists()
    assert worker.run("proven", write=False).returncode == 1
    assert worker.run("check", write=False).returncode == 1


def test_it_is_proven_again_after_a_boot_and_with_another_program(worker: Worker) -> None:
    worker.run("prove")
    later = (worker.at / "run" / "efa").stat().st_mtime + 10
    os.utime(worker.at / "program", (later, later))
    assert worker.run("proven", write=False).returncode == 1
    worker.run("prove")
    assert worker.run("proven", write=False).returncode == 0
    (worker.at / "run" / "efa").unlink()  # what is below /run is gone after a boot
    assert worker.run("proven", write=False).returncode == 1


def test_sparks_user_reads_the_settings_whatever_roots_umask_is(worker: Worker) -> None:
    before = os.umask(0o077)
    try:
        assert worker.run("prove").returncode == 0
    finally:
        os.umask(before)
    assert (worker.at / "etc" / "efa").stat().st_mode & 0o777 == 0o644
    assert (worker.at / "libraries").stat().st_mode & 0o777 == 0o755
    assert [file.name for file in (worker.at / "etc").iterdir()] == ["efa"]


@pytest.mark.parametrize(
    ("limit", "status"), [("unlimited            unlimited            bytes", 0), ("8388608", 1)]
)
def test_the_check_looks_at_what_sparks_worker_may_lock(worker: Worker, limit: str, status: int) -> None:
    worker.run("prove")
    worker.has("bin/systemctl", "#!/bin/sh\necho 4711\n", 0o755)
    worker.has("proc/4711/limits", f"Max locked memory         {limit}\n")
    done = worker.run("check", write=False)
    assert done.returncode == status
    assert ("Spark's worker may not lock all memory" in done.stderr) is bool(status)


def test_the_check_sees_a_device_that_went(worker: Worker) -> None:
    worker.run("prove")
    assert worker.run("check", write=False).returncode == 0
    worker.finds(devices(1))
    done = worker.run("check", write=False)
    assert (done.returncode, f"1 devices of {DEVICES}" in done.stderr) == (1, True)


def test_only_clusters_with_efa_have_the_role_and_only_their_workers_do_anything(
    cluster: Cluster, cluster_with_efa: Cluster
) -> None:
    assert "efa" not in cluster.roles
    roles = cluster_with_efa.roles
    assert roles.index("common") < roles.index("efa") < roles.index("spark_standalone")
    # Spark's settings and worker wait for the proof, whatever else runs side by side.
    assert "efa" in load_role("spark").requires
    assert "spark" in load_role("spark_standalone").requires
    head = Compiled("efa", cluster_with_efa, cluster_with_efa.node("head"), {})
    assert (head.commands, head.checks) == ({}, {})


@pytest.mark.parametrize("node", ["w1", "head"])
def test_executors_have_the_settings_on_workers_with_efa_alone(
    cluster: Cluster, cluster_with_efa: Cluster, tmp_path: Path, node: str
) -> None:
    def text(of: Cluster) -> str:
        return Compiled("spark", of, of.node(node), {}).template("spark-env.sh.j2")

    read = f". {paths.EFA_SETTINGS}\n"
    assert (read in text(cluster_with_efa)) is (node == "w1")
    assert read not in text(cluster)


def test_sparks_worker_may_lock_all_memory_where_there_is_efa(
    cluster: Cluster, cluster_with_efa: Cluster
) -> None:
    def unit(of: Cluster) -> str:
        return Compiled("spark_standalone", of, of.node("w1"), {}).template("spark-worker.service.j2")

    assert "\nLimitMEMLOCK=infinity\n" in unit(cluster_with_efa)
    proof = Compiled("efa", cluster_with_efa, cluster_with_efa.node("w1"), {}).template("efa.sh.j2")
    assert "as_spark() {\n  ulimit -l unlimited\n" in proof, "it is proven under the same limit"
    assert "LimitMEMLOCK" not in unit(cluster)

"""A real stack through Pulumi's real engine: up, nothing to do, heal, grow, destroy.

It shows what the mocks cannot: that nodes boot and answer, that state and machine stay in step, and that
nothing is left. What runs on the nodes is tests/end_to_end's matter.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap.cluster import Cluster, ClusterDocument
from bootstrap.inventory.resolve import resolve
from bootstrap.ssh.remote import connect
from tests.infra import engine

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
NAME = f"engine-{os.getpid()}"
SUBNET = "10.89.91.0/24"
ENGINE = os.environ.get("CAFFE_SPARK_TEST_ENGINE", "podman")
"""`docker` runs the same tests on Docker's daemon."""


@dataclass
class Stack:
    """A stack in a project folder, state and configuration of its own."""

    folder: Path
    env: dict[str, str]

    def pulumi(self, *arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", *arguments],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        print(f"$ pulumi {' '.join(arguments)}\n{done.stdout}")
        assert done.returncode == 0, done.stdout
        return done.stdout

    def up(self) -> str:
        return self.pulumi("up", "--yes", "--skip-preview")

    def cluster(self) -> Cluster:
        outputs = self.pulumi("stack", "output", "--json", "--show-secrets")
        return resolve(ClusterDocument.from_outputs(NAME, json.loads(outputs)), Console())

    def containers(self) -> dict[str, str]:
        """Ids of the stack's containers by node."""
        return {line.split()[0].rpartition("-")[2]: line.split()[1] for line in engine_lists("ps", "-a")}


def engine_lists(*command: str) -> list[str]:
    """The stack's resources in the engine, as `NAME ID` lines."""
    form = "{{.Names}} {{.ID}}" if command[0] == "ps" else "{{.Name}} {{.ID}}"
    done = subprocess.run(
        [ENGINE, *command, f"--filter=label=caffe-spark.stack={NAME}", "--format", form],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def tables() -> list[str]:
    """The stack's tables in the kernel."""
    done = subprocess.run(["nft", "list", "tables", "inet"], capture_output=True, text=True, check=True)
    return [line.split()[2] for line in done.stdout.splitlines() if f"caffe-spark-{NAME}-" in line]


def providers_of(stack: Stack) -> list[int]:
    """Processes of our providers, which an engine that was killed leaves behind."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = str(stack.folder).encode() in (process / "environ").read_bytes()
            if ours and b"pulumi.dynamic" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, up with one worker; destroyed at the end whatever happens."""
    for tool in ("pulumi", ENGINE, "nft"):
        assert shutil.which(tool), f"{tool} is not on PATH. Run `make setup`, then `. ./activate`."
    folder = tmp_path_factory.mktemp("stack")
    (folder / "state").mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", folder)
    (folder / "infra").symlink_to(ROOT / "infra")
    stack = Stack(folder, engine.environment(folder))
    stack.pulumi("stack", "init", NAME)
    for key, value in {
        "workers": "1",
        "vcpu": "1",
        "memoryMb": "2048",
        "subnet": SUBNET,
        "engine": ENGINE,
    }.items():
        stack.pulumi("config", "set", key, value)
    try:
        stack.up()
        yield stack
    finally:
        stack.pulumi("destroy", "--yes", "--skip-preview")


def test_nodes_are_hosts_that_prove_who_they_are(stack: Stack) -> None:
    cluster = stack.cluster()
    for node in cluster.nodes:
        with connect(cluster, node) as remote:
            result = remote.run("hostname; systemctl is-system-running; getent hosts w1; sudo -n true")
        assert result.stdout.split()[:3] == [node.name, "running", f"{SUBNET[:-5]}.11"]
        assert result.stderr == "", "sudo and ssh have nothing to complain about"


def test_secrets_are_hidden_and_the_rest_can_be_read(stack: Stack) -> None:
    cluster = json.loads(stack.pulumi("stack", "output", "--json"))["cluster"]
    assert (cluster["ssh"]["private_key"], cluster["spark_secret"]) == ("[secret]", "[secret]")
    assert cluster["head"]["host_key"].startswith("ssh-ed25519 ")
    state = (next((stack.folder / "state").rglob(f"stacks/caffe-spark/{NAME}.json"))).read_text()
    assert "PRIVATE KEY" not in state


def test_root_of_a_node_is_not_root_of_this_machine(stack: Stack) -> None:
    cluster = stack.cluster()
    attempts = {
        "mount": "mount -t tmpfs none /mnt",
        "device": "mknod /root/disk b 8 0",
        "kernel": "exec 3>>/proc/sys/kernel/core_pattern",
        "groups": "mkdir /sys/fs/cgroup/pids/x || mkdir /sys/fs/cgroup/x/y",
    }
    script = "; ".join(f"sudo -n sh -c '{act}' 2>/dev/null && echo {name}" for name, act in attempts.items())
    with connect(cluster, cluster.head) as remote:
        said = remote.run(f"grep CapBnd /proc/1/status; {script}; true").stdout.split()
    forbidden = {"NET_ADMIN": 12, "SYS_MODULE": 16, "SYS_RAWIO": 17, "SYS_PTRACE": 19, "SYS_ADMIN": 21}
    assert [name for name, bit in forbidden.items() if int(said[1], 16) >> bit & 1] == []
    assert said[2:] == []


def connects(uid: int, address: str) -> str:
    """A connection of a local user's process to a node's sshd: `SSH`, or the reason why there is none."""
    reach = f"exec 3<>/dev/tcp/{address}/22 && head -c 3 <&3"
    done = subprocess.run(
        ["setpriv", f"--reuid={uid}", "--clear-groups", "timeout", "10", "bash", "-c", reach],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def test_only_nodes_root_and_operator_connect_to_nodes(stack: Stack) -> None:
    state = json.loads(stack.pulumi("stack", "output", "--json"))["firewall"]
    assert state == f"{SUBNET}: new connections come from the nodes and from processes of root"
    head = f"{SUBNET[:-5]}.10"
    assert connects(0, head) == "SSH"
    assert "Connection refused" in connects(65534, head)
    assert "Connection refused" in connects(1, head)
    cluster = stack.cluster()
    with connect(cluster, cluster.node("w1")) as remote:
        assert remote.run(f"timeout 10 bash -c 'exec 3<>/dev/tcp/{head}/22 && head -c 3 <&3'").stdout == "SSH"


def test_a_firewall_that_is_gone_is_noticed_and_made_again(stack: Stack) -> None:
    def flush() -> None:
        (table,) = tables()
        subprocess.run(["nft", "delete", "table", "inet", table], check=True)
        assert connects(65534, f"{SUBNET[:-5]}.10") == "SSH"

    before = stack.containers()
    flush()
    assert "1 updated" in stack.up()
    assert "Connection refused" in connects(65534, f"{SUBNET[:-5]}.10")
    flush()
    assert "1 deleted" in stack.pulumi("refresh", "--yes", "--skip-preview")
    assert "1 created" in stack.up()
    assert "Connection refused" in connects(65534, f"{SUBNET[:-5]}.10")
    assert stack.containers() == before


def test_a_second_up_changes_nothing_and_is_quick(stack: Stack) -> None:
    before, started = stack.containers(), time.monotonic()
    resources = stack.up().rpartition("Resources:")[2].partition("Duration:")[0].split()
    assert resources[1:] == ["unchanged"]
    # 2 s on an idle machine; the bound is for one that compiles something beside.
    assert time.monotonic() - started < 20
    assert stack.containers() == before


def test_a_node_that_died_is_replaced_and_only_that_one(stack: Stack) -> None:
    before = stack.containers()
    subprocess.run([ENGINE, "kill", before["w1"]], check=True, capture_output=True)
    stack.up()
    after = stack.containers()
    assert after["head"] == before["head"]
    assert after["w1"] != before["w1"]
    cluster = stack.cluster()
    with connect(cluster, cluster.node("w1")) as remote:
        assert remote.run("hostname").stdout.strip() == "w1"


def test_a_refresh_notices_a_node_removed_by_hand_and_up_brings_it_back(stack: Stack) -> None:
    before = stack.containers()
    subprocess.run([ENGINE, "rm", "-f", before["w1"]], check=True, capture_output=True)
    assert "1 deleted" in stack.pulumi("refresh", "--yes", "--skip-preview")
    assert "1 created" in stack.up()
    assert stack.containers()["head"] == before["head"]


def test_memory_changes_without_a_reboot(stack: Stack) -> None:
    before = stack.containers()
    stack.pulumi("config", "set", "memoryMb", "2304")
    assert "2 updated" in stack.up()
    assert stack.containers() == before
    assert stack.cluster().worker.memory_mb == 768


def test_one_worker_more_touches_nothing_else(stack: Stack) -> None:
    before = stack.containers()
    stack.pulumi("config", "set", "workers", "2")
    assert "2 created" in stack.up(), "a host key and a node"
    after = stack.containers()
    assert set(after) == {"head", "w1", "w2"}
    assert before.items() <= after.items()


def test_a_killed_up_can_be_finished_and_leaves_no_process(stack: Stack) -> None:
    before = stack.containers()
    stack.pulumi("config", "set", "workers", "3")
    running = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview"],
        cwd=stack.folder,
        env=stack.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if "Node w3 creating" in line:
            break
    running.kill()
    running.wait()
    end = time.monotonic() + 15
    while providers := providers_of(stack):
        assert time.monotonic() < end, f"still running: {providers}"
        time.sleep(0.1)
    stack.pulumi("cancel", "--yes")
    stack.up()
    assert set(stack.containers()) == {"head", "w1", "w2", "w3"}
    assert before.items() <= stack.containers().items()


def test_destroy_leaves_nothing_and_says_what_it_keeps(stack: Stack) -> None:
    said = stack.pulumi("destroy", "--yes", "--skip-preview")
    assert "Kept: base image localhost/caffe-spark-node:" in said
    assert engine_lists("ps", "-a") == []
    assert engine_lists("network", "ls") == []
    assert tables() == []
    assert [*Path("/sys/fs/cgroup").glob(f"**/*caffe?spark?{NAME.replace('-', '?')}*")] == []
    stack.pulumi("stack", "rm", "--yes", NAME)
    stack.pulumi("stack", "init", NAME)

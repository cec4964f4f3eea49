"""A stack for the end-to-end tests: real engine, nodes, compiler, HDFS, Spark and MNIST.

Commands run as a user types them, in processes of their own. The caches that a user would have are empty
here: what passes does not lean on an earlier run. Only the base image, which is content-addressed, may be
found ready.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from bootstrap import paths
from bootstrap.cluster import Cluster
from bootstrap.inventory.resolve import resolve
from bootstrap.inventory.stack import load_cluster
from tests.jobs.spark_api import CLASSES, KEYS, MEMBERS
from tools.environment import environment

ROOT = Path(__file__).resolve().parents[2]
NAME = "e2e"
TEST_IMAGES = 10_000
SUBNET = "10.89.93.0/24"


@dataclass
class Said:
    """Result of a command."""

    code: int
    output: str
    seconds: float

    @property
    def last(self) -> str:
        return self.output.strip().splitlines()[-1] if self.output.strip() else ""


@dataclass
class Stack:
    """The commands of one stack, with its own backend, passphrase, configuration and caches."""

    folder: Path
    env: dict[str, str] = field(repr=False)
    name: str = NAME

    @property
    def config(self) -> Path:
        # `pulumi stack init` and `stack output` look nowhere else. Git ignores it.
        return ROOT / f"Pulumi.{self.name}.yaml"

    def run(self, *command: str, timeout: float = 600, stdin: str = "") -> Said:
        started = time.monotonic()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.env,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        print(f"$ {' '.join(command)}\n{done.stdout}[status {done.returncode}]")
        return Said(done.returncode, done.stdout, time.monotonic() - started)

    def pulumi(self, *arguments: str, timeout: float = 600, stdin: str = "") -> Said:
        return self.run("pulumi", *arguments, "--stack", self.name, timeout=timeout, stdin=stdin)

    def up(self, timeout: float = 900) -> Said:
        return self.pulumi("up", "--yes", "--skip-preview", timeout=timeout)

    def fab(self, task: str, *arguments: str, timeout: float = 600) -> Said:
        return self.run("fab", task, "--stack", self.name, *arguments, timeout=timeout)

    def cluster(self) -> Cluster:
        return resolve(load_cluster(ROOT, self.name, self.env), Console())

    def on(self, node: str, script: str) -> str:
        """Run a script on a node through the container engine, without SSH; return its output."""
        return subprocess.run(
            ["podman", "exec", "-i", f"caffe-spark-{self.name}-{node}", "sh", "-s"],
            input=script,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        ).stdout


@dataclass
class Submitted:
    """A `fab submit-mnist` that runs in parallel to the test."""

    process: subprocess.Popen[str]
    out: Path

    @property
    def output(self) -> str:
        return self.out.read_text()


@contextmanager
def long_job(stack: Stack, folder: Path) -> Iterator[Submitted]:
    """A job of many iterations that has begun to train; its follower is ended at the end."""
    out = folder / "submit"
    with out.open("w") as file:
        process = subprocess.Popen(
            ["fab", "submit-mnist", "--stack", stack.name, "--iterations", "100000"],
            cwd=ROOT,
            env=stack.env,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
    submitted = Submitted(process, out)
    try:
        eventually(lambda: "iteration      0" in submitted.output, "the first iteration", 240)
        yield submitted
    finally:
        process.kill()
        process.wait()


def eventually(holds: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(1)


def spark_lacks(stack: Stack) -> str:
    """Return what jobs use of Spark and the head's pyspark does not have, a line each."""
    tables = {"classes": [*CLASSES], "members": [*MEMBERS], "keys": [*KEYS]}
    program = (ROOT / "tests/jobs/spark_release.py").read_text()
    return stack.on(
        "head",
        f"cat >/tmp/release.py <<'PROGRAM'\n{program}\nPROGRAM\n"
        "folder=$(readlink -f /opt/spark)\n"
        f"echo '{json.dumps(tables)}' | {paths.PYTHON} /tmp/release.py $folder 2>&1; echo $?",
    )


def results_of(said: Said) -> Path:
    """Return the folder of results that submit-mnist printed."""
    found = [line for line in said.output.splitlines() if "results/" in line]
    assert found, said.output
    name = found[-1].split("results/")[1].split("/")[0].split()[0].strip("`.")
    return ROOT / "results" / name


def own_state(folder: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of commands whose state and passphrase lie in `folder`, and create both."""
    (folder / "state").mkdir()
    passphrase = folder / "passphrase"
    passphrase.write_text("end-to-end")
    own = {
        **given,
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
        "COLUMNS": "140",
    }
    own.pop("PULUMI_CONFIG_PASSPHRASE", None)
    return {**own, **environment(ROOT, own)}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack's settings; nothing exists yet. Remaining resources are destroyed at the end."""
    folder = tmp_path_factory.mktemp("e2e")
    stack = Stack(folder, own_state(folder, {**os.environ, "CAFFE_SPARK_CACHE": str(folder / "cache")}))
    stack.config.write_text(f"config:\n  caffe-spark:workers: 2\n  caffe-spark:subnet: {SUBNET}\n")
    assert stack.pulumi("stack", "init").code == 0
    yield stack
    stack.pulumi("destroy", "--yes", "--skip-preview")
    stack.config.unlink()


@pytest.fixture(scope="session")
def up(stack: Stack) -> Said:
    """The stack is up."""
    said = stack.up()
    assert said.code == 0, said.output
    return said


@pytest.fixture(scope="session")
def built(stack: Stack, up: Said) -> Said:
    """Its nodes are provisioned and Caffe is compiled and spread."""
    said = stack.fab("build-headnode", timeout=2400)
    assert said.code == 0, said.output
    return said


@pytest.fixture(scope="session")
def trained(stack: Stack, built: Said) -> Said:
    """A short job has run."""
    said = stack.fab("submit-mnist", "--iterations", "300", timeout=900)
    assert said.code == 0, said.output
    return said

"""Role `caffe`: the test that a node passes before it takes work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bootstrap import paths
from bootstrap.cluster import Cluster
from tests.bootstrap.roles.conftest import Compiled

GIVEN: dict[str, Any] = {
    "framework_key": "k" * 20,
    "framework_sha256": "5" * 64,
    "framework_uri": "hdfs:///frameworks/caffe/k/caffe.tar.gz",
    "framework_packages": ["libx"],
    "framework_distribution": "debian-12",
}


HELD = 77
"""Exit status where the test is not to be run."""


class Node:
    """A folder in place of a node's, with a `runuser` that stays who it is."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder, self.cluster = folder, cluster
        for name in ("bin", "caffe/python", "run", "venv/bin"):
            (folder / name).mkdir(parents=True)
        runuser = folder / "bin" / "runuser"
        runuser.write_text('#!/bin/sh\n[ "$1 $2 $3" = "-u spark --" ] || exit 9\nshift 3\nexec "$@"\n')
        runuser.chmod(0o755)
        for name in ("venv/pyvenv.cfg", "openblas"):
            (folder / name).touch()
        (folder / "venv/bin/python").symlink_to(sys.executable)

    def has(self, module: str, text: str) -> None:
        (self.folder / "caffe/python" / f"{module}.py").write_text(text)

    def runs(self, test: str, key: str = "k" * 20) -> subprocess.CompletedProcess[str]:
        """Write the test and run it, unless it holds."""
        places = {"test": str(self.folder / "test.py"), "openblas_choice": str(self.folder / "openblas")}
        given = {**GIVEN, "framework_key": key, "framework_test": test, **places}
        compiled = Compiled("caffe", self.cluster, self.cluster.node("w1"), given)
        write, test_step = (
            compiled.commands[name] for name in ("Write Caffe's test", "Test Caffe on this node")
        )
        script = (
            f"PATH={self.folder}/bin:$PATH\nchown() {{ :; }}\n"
            # On lines of their own: elsewhere the shell ignores `set -e`.
            f"( set -eu\n{write.guard}\n) 2>/dev/null\n"
            f"if [ $? -ne 0 ]; then ( set -eu\n{write.run}\n); fi\n"
            f"( set -eu\n{test_step.guard}\n) 2>/dev/null\n[ $? -ne 0 ] || exit {HELD}\n"
            f"( set -eu\n{test_step.run}\n)\ncode=$?; [ $code -eq 0 ] || exit $code\n"
            f"( set -eu\n{test_step.guard}\n)"
        )
        for name, place in ((paths.CAFFE_HOME + "/", "caffe/"), (paths.RUN, "run"), (paths.VENV, "venv")):
            script = script.replace(name, f"{self.folder}/{place}")
        return subprocess.run(["sh"], input=script, capture_output=True, text=True, check=False)


@pytest.fixture
def node(tmp_path: Path, cluster: Cluster) -> Node:
    return Node(tmp_path, cluster)


def test_a_node_runs_the_recipes_test_with_the_framework_once(node: Node) -> None:
    node.has("caffe", f"open('{node.folder}/imported', 'a').write('x')\n")
    assert node.runs("import caffe\n").returncode == 0
    assert node.runs("import caffe\n").returncode == HELD
    assert (node.folder / "imported").read_text() == "x"


def test_a_node_on_which_caffe_does_not_run_says_why_and_with_which_packages(node: Node) -> None:
    node.has("numpy", "")
    node.has("caffe", "import numpy; raise ImportError('numpy of another version')\n")
    said = node.runs("import caffe\n")
    assert said.returncode == 1
    *_, last = said.stderr.splitlines()
    assert last == (
        "Caffe does not run on this node: ImportError: numpy of another version "
        f"(numpy: {node.folder}/caffe/python/numpy.py)"
    )
    node.has("caffe", "")
    assert node.runs("import caffe\n").returncode == 0, "it is not remembered"


@pytest.mark.parametrize("changed", ["the framework", "the test", "the Python", "the kernels", "the boot"])
def test_another_framework_test_python_openblas_or_boot_is_tested_again(node: Node, changed: str) -> None:
    node.has("caffe", "")
    assert node.runs("import caffe\n").returncode == 0
    newer = {"the Python": "venv/pyvenv.cfg", "the kernels": "openblas"}.get(changed)
    for age, file in (
        (30, "test.py"),
        (20, "run/framework-tested"),
        (25, "venv/pyvenv.cfg"),
        (25, "openblas"),
    ):
        then = time.time() - (10 if file == newer else age)
        os.utime(node.folder / file, (then, then))
    if changed == "the boot":
        (node.folder / "run/framework-tested").unlink()
    test = "import caffe  # again\n" if changed == "the test" else "import caffe\n"
    key = "l" * 20 if changed == "the framework" else "k" * 20
    assert node.runs(test, key).returncode == 0
    assert node.runs(test, key).returncode == HELD


def test_an_executors_environment_is_the_tests(node: Node) -> None:
    node.has("caffe", "")
    test = (
        "import os\n"
        f"assert os.environ['PYTHONPATH'] == '{node.folder}/caffe/python', os.environ\n"
        "assert os.environ['OPENBLAS_NUM_THREADS'] == '1'\n"
        "assert os.getcwd() == '/'\n"
    )
    assert node.runs(test).returncode == 0

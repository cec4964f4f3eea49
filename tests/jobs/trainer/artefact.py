"""Caffe as it was compiled, for tests that need it.

Of the framework on a node, where `CAFFE_SPARK_TEST_NODE` names its container, as end-to-end tests do; else of
a framework of the operator's cache that runs on this machine. Tests are skipped without one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from bootstrap.framework.recipe import RECIPES
from bootstrap.operator_cache import operator_cache

ROOT = Path(__file__).parents[3]
NODE_VARIABLE = "CAFFE_SPARK_TEST_NODE"
CODE = Path(f"/tmp/caffe-spark-tests-{os.getpid()}")
"""On a node."""
PYTHONS = (sys.executable, "/usr/bin/python3")
"""Interpreters that may have been built for: numpy has to be of the version that Caffe was compiled with."""


class Caffe:
    """An unpacked framework and an interpreter that can import it."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder, self.python = folder, python

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program that may import caffe, jobs and tests."""
        path = os.pathsep.join([str(self.folder / "python"), str(ROOT)])
        return subprocess.run(
            [self.python, "-c", program, *arguments],
            env={**os.environ, "PYTHONPATH": path, "GLOG_minloglevel": "1"},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def result(self, program: str, *arguments: str) -> str:
        """Return what a program prints last; fail with its errors where it fails."""
        done = self.run(program, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]


class OnNode(Caffe):
    """The framework that is installed on a node, which gets a copy of jobs, tests and a test's folder."""

    def __init__(self, container: str) -> None:
        super().__init__(Path("/opt/caffe"), "/opt/caffe-spark/venv/bin/python")
        self.container = container
        self._copy(ROOT, "jobs", "tests", to=CODE)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program there; folders that its arguments name are copied before, results are not."""
        for path in map(Path, arguments):
            if path.is_absolute():
                here = next(folder for folder in (path, *path.parents) if folder.is_dir())
                self._copy(here, ".", to=here)
        modules = f"{self.folder}/python:{CODE}"
        return subprocess.run(
            [
                *("podman", "exec", "-i", "-e", f"PYTHONPATH={modules}", "-e", "GLOG_minloglevel=1"),
                *(self.container, self.python, "-c", program, *arguments),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def _copy(self, folder: Path, *names: str, to: Path) -> None:
        unpack = f"mkdir -p {shlex.quote(str(to))} && tar -C {shlex.quote(str(to))} -xf -"
        packed = subprocess.run(
            ["tar", "-C", str(folder), "--exclude=__pycache__", "-cf", "-", *names],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        subprocess.run(["podman", "exec", "-i", self.container, "sh", "-c", unpack], input=packed, check=True)


def found(folder: Path) -> Caffe:
    """Return Caffe; skip the test where there is none. `folder` is for what is unpacked here."""
    container = os.environ.get(NODE_VARIABLE)
    if container:
        return OnNode(container)
    return _unpacked(folder)


def _of_these_sources(manifest: Path) -> bool:
    """Return whether a framework was compiled from the recipe's files as they are here."""
    files = json.loads(manifest.read_text())["inputs"]["files"]
    # Programs that pack it have no folder.
    named = {name: RECIPES / name for name in files if "/" in name}
    return all(
        path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == files[name]
        for name, path in named.items()
    )


def _unpacked(folder: Path) -> Caffe:
    archives = (operator_cache() / "frameworks" / "caffe").glob("*/caffe.tar.gz")
    for archive in sorted(archives, key=lambda file: file.stat().st_mtime, reverse=True):
        if not _of_these_sources(archive.with_name("manifest.json")):
            continue
        target = folder / archive.parent.name
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
        for python in PYTHONS:
            caffe = Caffe(target, python)
            if Path(python).exists() and caffe.run("import caffe, caffe_feed, lmdb").returncode == 0:
                return caffe
    pytest.skip("no framework in the operator's cache runs on this machine")

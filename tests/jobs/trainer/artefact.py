"""Caffe as it was compiled, for tests that need it: a framework of the operator's cache that runs here.

Tests with it are skipped on a machine without one, or without the libraries of its distribution.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from bootstrap.operator_cache import operator_cache

ROOT = Path(__file__).parents[3]
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


def unpacked(folder: Path) -> Caffe:
    """Return the newest framework of the cache that runs here; skip the test without one."""
    archives = (operator_cache() / "frameworks" / "caffe").glob("*/caffe.tar.gz")
    for archive in sorted(archives, key=lambda file: file.stat().st_mtime, reverse=True):
        target = folder / archive.parent.name
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
        for python in PYTHONS:
            caffe = Caffe(target, python)
            if Path(python).exists() and caffe.run("import caffe, lmdb").returncode == 0:
                return caffe
    pytest.skip("no framework in the operator's cache runs on this machine")

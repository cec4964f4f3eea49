"""Short programs of ours that run on a head by whatever Python 3 there is; HDInsight's python3 is 3.6."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import paths
from bootstrap.storage import namenode, programs
from jobs.backends import head_records as records

PROGRAMS = {
    "state": namenode._STATE,
    "split": programs.SPLIT,
    "check": programs.CHECK,
    "describe": programs.DESCRIBE,
    "list": records._LIST,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_is_python_3_6(name: str) -> None:
    ast.parse(PROGRAMS[name], feature_version=(3, 6))


def _said(python: str) -> str:
    shell = paths.ANY_PYTHON.replace(paths.PYTHON, python)
    script = f"set -eu\n{shell} - a 'b c' <<'P'\nimport sys\nprint(sys.executable, sys.argv[1:])\nP\n"
    return subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def test_the_clusters_python_runs_them_where_there_is_one(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    assert _said(str(python)) == f"{python} ['a', 'b c']"


def test_before_that_python3_does(tmp_path: Path) -> None:
    assert _said(str(tmp_path / "none")).endswith("['a', 'b c']")

"""`make check`: static checks beside the tests, over stand-ins for the programs that it runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ("ruff", "mypy", "lint-imports", "vermin", "python", "pytest")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which `ran` gets a line for each program; `FAILING` is one that fails."""
    for name in PROGRAMS:
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        fails = f'[ "$FAILING" != {name} ] || {{ echo "{name} says no"; exit 3; }}'
        program.write_text(f'#!/bin/sh\necho "{name} $1" >>ran\n{fails}\n')
        program.chmod(0o755)
    return tmp_path


def run(folder: Path, failing: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", ROOT / "tools" / "check.sh"],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder / 'bin'}:/usr/bin:/bin", "FAILING": failing},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_every_check_and_the_tests_are_run(folder: Path) -> None:
    done = run(folder)

    assert done.returncode == 0, done.stdout
    ran = [line.split()[0] for line in (folder / "ran").read_text().splitlines()]
    assert sorted(set(ran)) == sorted(PROGRAMS)


@pytest.mark.parametrize("failing", ["ruff", "mypy", "lint-imports", "vermin"])
def test_a_static_check_that_fails_fails_all_and_shows_what_it_says(folder: Path, failing: str) -> None:
    done = run(folder, failing)

    assert done.returncode == 1
    assert f"{failing} says no" in done.stdout
    assert "pytest -m" in (folder / "ran").read_text(), "the tests are run all the same"


def test_tests_that_fail_fail_with_pytests_own_status(folder: Path) -> None:
    assert run(folder, "pytest").returncode == 3
